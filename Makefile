# Each target sets up what it needs in .venv. Another Python: make PYTHON=python3.12 train
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt
CORE := .venv/with-core

.DEFAULT_GOAL := help
.PHONY: help install data train test test-slow test-all lint dashboard app compare finetune_or_scratch figures part-b benchmark docs docs-serve clean

help:
	@echo "make train      run the demo: needs no data, no weights and no network after the installation"
	@echo "make data       get WikiArt into data/wikiart: SOURCE=artificio|huggan|folder|catalogue OPTIONS='...'"
	@echo "make dashboard  TensorBoard on logs/"
	@echo "make app        a page on which anybody asks a trained network about a painting: RUN=logs/demo"
	@echo "make compare    is the difference between arms significant? RUNS=logs/wikiart OPTIONS='--reference ARM'"
	@echo "make finetune_or_scratch   answered from runs of that experiment: RUNS=logs/finetune_or_scratch"
	@echo "make figures    the report's figures from finished runs: RUNS=logs/wikiart PHOTOS=folder"
	@echo "make part-b     what does VGG-16 look at, and is it to be believed? PHOTOS='husky.jpg cat.jpg' TRUTH=boxes.csv"
	@echo "make benchmark  speed and memory beside a plain loop, Lightning's defaults and captum: OPTIONS='...'"
	@echo "make test       run the tests            make test-slow  kills, launchers, real training"
	@echo "make test-all   all tests, those that take minutes too: PYTEST_WORKERS=2"
	@echo "make docs       the documentation, into site/     make docs-serve   shown while you write"
	@echo "make lint       ruff                     make install    all that tests and benchmarks need, into .venv"
	@echo "make clean      remove .venv and caches (logs/ and data/ stay)"

# The core: training, TensorBoard, comparison, saliency.
$(CORE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "error: $(PYTHON) is not Python 3.11, 3.12 or 3.13: name one that is, make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	@touch $@

# With an extra of pyproject.toml: box, data, docs; dev holds all but docs.
.venv/with-%: $(CORE)
	$(PIP) --editable '.[$*]'
	@touch $@

install: .venv/with-dev

# make data SOURCE=folder OPTIONS="--root ~/wikiart --split ~/artgan"
SOURCE ?= artificio
data: .venv/with-data
	$(BIN)/python scripts/prepare_wikiart.py --source $(SOURCE) $(OPTIONS)

train: $(CORE)
	$(BIN)/python train.py experiment=demo head=replace_two

dashboard: $(CORE)
	$(BIN)/tensorboard --logdir logs

# make app RUN=logs/demo OPTIONS="--port 8000 --no-similar"; the shell reads RUN, whose name may hold anything
RUN ?= logs
app: export RUN := $(RUN)
app: .venv/with-app
	$(BIN)/python scripts/app.py "$$RUN" $(OPTIONS)

# make compare RUNS=logs/wikiart
RUNS ?= logs
compare: $(CORE)
	$(BIN)/python scripts/compare.py $(RUNS) $(OPTIONS)

# make finetune_or_scratch RUNS=logs/finetune_or_scratch OPTIONS="--out logs/answer"
finetune_or_scratch: RUNS = logs/finetune_or_scratch
finetune_or_scratch: $(CORE)
	$(BIN)/python scripts/finetune_or_scratch.py $(RUNS) $(OPTIONS)

# make figures RUNS=logs/wikiart PHOTOS="husky.jpg cat.jpg" MODEL=vgg16 WEIGHTS=vgg16.pth
MODEL ?= vgg16
figures: $(CORE)
	$(BIN)/python scripts/figures.py $(RUNS) --photos $(PHOTOS) --model $(MODEL) $(if $(WEIGHTS),--weights $(WEIGHTS))

# make part-b PHOTOS=folder TRUTH=boxes.csv METHOD=all; the same command goes on where it was stopped
part-b: PHOTOS ?= photos
METHOD ?= gradient,guided_backprop,gradcam
part-b: .venv/with-box
	$(BIN)/python scripts/saliency.py $(PHOTOS) --model $(MODEL) $(if $(WEIGHTS),--weights $(WEIGHTS)) \
		--method $(METHOD) $(if $(TRUTH),--truth $(TRUTH)) --box --evaluate --gallery --out logs/part-b --resume $(OPTIONS)

# make benchmark OPTIONS="--root ~/wikiart --only full,steady --repeats 5"
benchmark: install
	$(BIN)/python scripts/benchmark.py $(OPTIONS)

# Each worker needs about 1.5 GB of memory; loadfile: what a file's tests share is made once.
PYTEST_WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile
test: install
	$(PYTEST)

test-slow: install
	$(PYTEST) -m slow

test-all: install
	@echo "all tests: about half an hour on 2 cores"
	$(PYTEST) -m ""

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs docs-serve: export NO_MKDOCS_2_WARNING = 1
docs: .venv/with-docs
	$(BIN)/mkdocs build --strict

docs-serve: .venv/with-docs
	$(BIN)/mkdocs serve

clean:
	rm -rf .venv build site src/*.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
