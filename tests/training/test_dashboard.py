"""What TensorBoard serves of a run, asked over HTTP as its pages ask; and the parts that need a closer look."""

import dataclasses
import json
import logging
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard import program
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torchmetrics.functional.classification import multiclass_confusion_matrix

from brushwork import csv_files, drawing, run_folder
from brushwork.errors import UserError
from brushwork.training import dashboard
from brushwork.training import job as jobs
from brushwork.training.config import Job
from tests.conftest import BOTH_HEADS as RUNS
from tests.training.test_training import interrupted

MakeJob = Callable[..., Job]


Ask = Callable[..., Any]


@pytest.fixture
def ask(both_heads: Path) -> Iterator[Ask]:
    """A TensorBoard on the runs: ask(path, **query) gives the JSON, or the bytes, that it serves."""
    board = program.TensorBoard()
    board.configure((None, "--logdir", str(both_heads), "--port", "0", "--load_fast", "false"))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    url = board.launch()

    def get(path: str, body: dict | None = None, **query: object) -> Any:
        address = f"{url}data/plugin/{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(address, body and json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=20) as answer:
            content = answer.read()
            return json.loads(content) if answer.headers.get_content_type() == "application/json" else content

    for _ in range(200):  # it reads the files in the background; a run's result is written last
        found = get("text/tags")
        if set(found) == set(RUNS) and all("run/1 result/text_summary" in tags for tags in found.values()):
            break
        time.sleep(0.05)
    yield get


def test_what_each_plugin_serves(ask: Ask, both_heads: Path) -> None:
    for run in RUNS:
        rows = csv_files.read(both_heads / run / run_folder.METRICS)
        result = json.loads((both_heads / run / run_folder.RESULT).read_text())

        scalars = ask("scalars/tags")[run]
        served = [point[1:] for point in ask("scalars/scalars", run=run, tag="val/accuracy")]
        assert served == [[i + 1, pytest.approx(float(row["val/accuracy"]))] for i, row in enumerate(rows)]
        for name in ("majority", "artist_lookup", "color_texture"):
            values = [value for _, _, value in ask("scalars/scalars", run=run, tag=f"baseline/{name}")]
            assert values == [pytest.approx(result["baselines"][name])] * 2
        for part in ("features", "classifier", "new layer"):
            steps = [step for _, step, _ in ask("scalars/scalars", run=run, tag=f"gradient norm/{part}")]
            assert steps == [0, 3]
        assert "hp_metric" not in scalars

        histograms = ask("histograms/tags")[run]
        assert set(histograms) == {
            f"new layer/{name}" for name in ("weight", "weight gradient", "bias", "bias gradient")
        }
        bins = ask("histograms/histograms", run=run, tag="new layer/weight")[-1][2]
        assert sum(count for _, _, count in bins) == pytest.approx(3 * 4096)
        assert ask("distributions/distributions", run=run, tag="new layer/weight")

        tags = ask("images/tags")[run]
        assert set(tags) == {
            "paintings/by style",
            "paintings/training batch",
            "saliency/panel",
            "saliency/strip",
            "answers/confusion matrix",
            "answers/worst mistakes",
        }
        assert [image["step"] for image in ask("images/images", run=run, tag="saliency/panel", sample=0)] == [0, 1, 2]
        for tag in tags:
            blob = ask("images/images", run=run, tag=tag, sample=0)[0]["query"]
            assert ask(f"images/individualImage?{blob}&x=").startswith(b"\xff\xd8")  # a JPEG

        graphs = ask("graphs/info")[run]
        assert graphs["run_graph"]
        assert graphs["tags"]["classifier"]["op_graph"]
        whole = ask("graphs/graph", run=run).decode()
        assert 'name: "features/0_Conv2d"' in whole
        changed = ask("graphs/graph", run=run, tag="classifier").decode()
        assert ("6_Linear" in changed) == run.startswith("replace_last")
        assert changed.count("node {") == (7 if run.startswith("replace_last") else 5)

        what = ask("text/text", run=run, tag="run/2 what it is/text_summary")[0]["text"]
        for part in (f"head={result['command'].split('head=')[1]}", "classifier", "Facets", "random seed 0"):
            assert part in what
        answer = ask("text/text", run=run, tag="run/1 result/text_summary")[0]["text"]
        for value in (result["best"]["val/accuracy"], result["baselines"]["artist_lookup"]):
            assert f"{value:.3f}" in answer
        config = ask("text/text", run=run, tag="run/3 configuration/text_summary")[0]["text"]
        assert "val_fraction: 0.2" in config

    (category,) = ask("custom_scalars/layout")["category"]
    charts = {chart["title"]: chart["multiline"]["tag"] for chart in category["chart"]}
    assert set(charts) == {
        "validation accuracy, both heads",
        "training loss, both heads",
        "saliency maps beside those of the panel before",
        "saliency maps beside those of ImageNet's own network",
    }
    for chart, correlations in zip(list(charts)[2:], (["previous"], ["others"]), strict=True):  # not from ImageNet
        found = ask("custom_scalars/scalars", tag=charts[chart][0], run=RUNS[0])["tag_to_events"]
        assert set(found) == {f"map correlation/{name}" for name in correlations}
    pattern = charts["validation accuracy, both heads"][1]
    matches = ask("custom_scalars/scalars", tag=pattern, run=RUNS[0])["tag_to_events"]
    assert set(matches) == {"baseline/majority", "baseline/artist_lookup", "baseline/color_texture"}
    assert set(
        ask("custom_scalars/scalars", tag=charts["training loss, both heads"][0], run=RUNS[0])["tag_to_events"]
    ) == {"train/loss"}


def test_hyperparameters_are_sortable(ask: Ask, both_heads: Path) -> None:
    experiment = ask("hparams/experiment", body={"experimentName": ""})
    assert {info["name"] for info in experiment["hparamInfos"]} == {
        "head",
        "tuning",
        "model",
        "weights",
        "split",
        "seed",
        "learning rate",
    }
    names = {info["displayName"]: info["name"] for info in experiment["metricInfos"]}
    assert set(names) == {"best validation accuracy", "last validation accuracy"}
    columns = [{"hparam": "head"}, {"metric": names["best validation accuracy"], "order": "ORDER_DESC"}]
    body = {
        "experimentName": "",
        "allowedStatuses": ["STATUS_SUCCESS"],
        "colParams": columns,
        "startIndex": 0,
        "sliceSize": 10,
    }
    groups = ask("hparams/session_groups", body=body)["sessionGroups"]
    assert {group["hparams"]["head"] for group in groups} == {"replace_last", "replace_two"}
    for group in groups:
        run = group["sessions"][0]["name"]
        assert group["hparams"]["learning rate"] == 0.01
        result = json.loads((both_heads / run / run_folder.RESULT).read_text())
        values = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
        assert values[dashboard.BEST] == pytest.approx(result["best"]["val/accuracy"])
        assert values["val/accuracy"] == pytest.approx(result["last"]["val/accuracy"])


def tags(folder: Path) -> dict[str, list[int]]:
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0}).Reload()
    found = {tag: [event.step for event in events.Images(tag)] for tag in events.Tags()["images"]}
    texts = [tag for tag in events.Tags()["tensors"] if tag.endswith("text_summary")]
    return found | {tag: [event.step for event in events.Tensors(tag)] for tag in texts}


def test_a_resumed_run_has_each_page_once(make_job: MakeJob, tmp_path: Path) -> None:
    job = dataclasses.replace(make_job(), sweep_number=0)
    with pytest.raises(SystemExit):
        jobs.run_job(interrupted(job, 1))
    jobs.run_job(dataclasses.replace(make_job(), sweep_number=0))
    found = tags(tmp_path / "run")
    for tag in ("paintings/by style", "paintings/training batch", "run/2 what it is/text_summary"):
        assert found[tag] == [0], tag
    assert found["run/1 result/text_summary"] == [3]
    assert found["answers/confusion matrix"] == [3]


def test_files_stay_small(both_heads: Path) -> None:
    for run in RUNS:
        (file,) = (both_heads / run).glob("events.out.tfevents.*")
        assert file.stat().st_size < 2e6


def test_gradient_norms_are_those_of_the_gradients(make_job: MakeJob, tmp_path: Path) -> None:
    import lightning as L

    from brushwork.models import tuning

    seen = {}

    class Watch(L.Callback):
        def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any) -> None:
            groups = tuning.groups(pl_module.network, pl_module.new_layer)
            for name, parameters in groups.items():
                gradient = torch.cat([p.grad.flatten() for p in parameters])
                seen[name, trainer.global_step] = gradient.double().square().sum().sqrt().item()

    job = make_job("trainer.max_epochs=1", "callbacks.dashboard.every_n_steps=2")
    jobs.run_job(dataclasses.replace(job, callbacks=[*job.callbacks, Watch()]))
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    for name in ("features", "classifier", "new layer"):
        for event in events.Scalars(f"gradient norm/{name}"):
            assert event.value == pytest.approx(seen[name, event.step], rel=1e-4)


def test_the_scale_of_half_precision_is_taken_out_of_gradients() -> None:
    layer = torch.nn.Linear(2, 3)
    layer(torch.ones(1, 2)).sum().backward()
    plain, scaled = (
        dashboard.gradients({"all": list(layer.parameters())}, layer, s) for s in (None, torch.tensor(4.0))
    )
    assert scaled[0]["all"] == plain[0]["all"] / 4
    assert torch.equal(scaled[1]["bias gradient"], plain[1]["bias gradient"] / 4)
    assert torch.equal(scaled[1]["bias"], plain[1]["bias"])


def test_a_part_that_cannot_be_shown_is_a_warning(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("symbolically traced variables cannot be used")

    monkeypatch.setattr(dashboard.graph, "layers", fail)
    assert jobs.run_job(make_job("trainer.max_epochs=1")) is not None
    assert "dashboard: add_graphs: symbolically traced variables cannot be used" in caplog.text
    assert "answers/confusion matrix" in tags(tmp_path / "run")


def test_every_n_steps_is_a_number_from_1(make_job: MakeJob) -> None:
    with pytest.raises(UserError, match=r"callbacks\.dashboard\.every_n_steps to be at least 1, but got 0"):
        make_job("callbacks.dashboard.every_n_steps=0")


def test_confusion_matrix_counts_as_torchmetrics_does() -> None:
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    labels[labels == 2] = 1  # a class without paintings
    figure = drawing.confusion_matrix(labels, predicted, list("abcd"))
    expected = multiclass_confusion_matrix(torch.from_numpy(predicted), torch.from_numpy(labels), 4).numpy()
    drawn = np.zeros((4, 4), int)
    for text in figure.axes[0].texts:
        column, row = text.get_position()
        drawn[row, column] = int(text.get_text())
    assert (drawn == expected).all()
