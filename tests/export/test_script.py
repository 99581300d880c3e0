"""scripts/export.py, as a user starts it."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from brushwork import csv_files
from brushwork.export import checks, folder
from brushwork.models import backbones, checkpoint, heads
from brushwork.models.classifier import StyleClassifier
from brushwork.paintings import demo
from tests.conftest import REPOSITORY, Run
from tests.export.conftest import Hub
from tests.export.test_folder import code


def test_an_export_of_a_run(run: Run, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_SECONDS", 0.0)
    best = finished / "checkpoints/best.ckpt"
    code, out, error = run("export", best, "--out", "there", "--format", "safetensors")
    assert (code, error) == (0, "")
    assert out.splitlines()[-1] == (
        "results: there (config.json, model.safetensors, familiarity.safetensors, confusion_matrix.png, README.md)"
    )
    rows = [line.split() for line in out.splitlines()]
    heading = next(row for row in rows if row[:1] == ["format"])
    assert heading[-4:] == ["batch", "1", "ms,", "batch", "32"][-4:]
    assert "model.safetensors" in next(row for row in rows if row[:1] == ["safetensors"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.ckpt"], "there is no file {folder}/gone.ckpt"),
        (["CHECKPOINT", "--format", "onix"], "unknown --format 'onix': did you mean 'onnx'"),
        (["CHECKPOINT", "--push", "styles"], "expected --push USER/NAME, but got styles"),
        (["CHECKPOINT", "--format", "onnx", "--push", "user/styles"], "add safetensors to --format"),
        (["hf://user/styles"], "an export of hf:/user/styles needs a folder: --out DIR"),
        (["CHECKPOINT", "--opset", "3", "--out", "there"], "torch writes ONNX of opset 18 and later, not --opset 3"),
    ],
)
def test_a_mistake_is_one_line(run: Run, checkpoint: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, _, error = run("export", *[checkpoint if one == "CHECKPOINT" else one for one in arguments])
    assert code == 1
    assert message.format(folder=tmp_path) in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_push_writes_the_address(run: Run, hub: type[Hub], checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_SECONDS", 0.0)
    options = ["--format", "safetensors", "--out", "there", "--push", "user/styles", "--licence", "cc-by-nc-4.0"]
    code, out, error = run("export", checkpoint, *options)
    assert (code, error) == (0, "")
    assert "/user/styles; back by hf://user/styles\n" in out
    card = hub.files["README.md"].decode()
    assert 'from_pretrained("user/styles")' in card and "predict.py hf://user/styles" in card
    assert "license: cc-by-nc-4.0" in card


@pytest.mark.slow
def test_the_ten_lines_run_without_brushwork(exported: Path, tmp_path: Path) -> None:
    """In a process of its own, in which neither torch nor Brushwork can be imported."""
    demo.paint("Dots", 3, 200).save(tmp_path / "painting.jpg")
    (tmp_path / "model.onnx").symlink_to(exported / "model.onnx")
    hidden = "import sys\nsys.modules.update(dict.fromkeys(('torch', 'torchvision', 'brushwork')))\n"
    (tmp_path / "use.py").write_text(hidden + code((exported / "README.md").read_text()))
    process = subprocess.run([sys.executable, "use.py"], cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert len(eval(process.stdout)) == 3


@pytest.mark.slow
def test_maps_of_a_published_network(hub: type[Hub], exported: Path, tmp_path: Path) -> None:
    """In a process of its own, which knows the hub by HF_ENDPOINT alone."""
    import huggingface_hub

    hub.files |= {path.name: path.read_bytes() for path in exported.iterdir()}
    demo.paint("Dots", 3, 64).save(tmp_path / "painting.jpg")
    command = [sys.executable, "scripts/saliency.py", tmp_path / "painting.jpg", "--model", "hf://user/styles"]
    environment = os.environ | {"HF_ENDPOINT": huggingface_hub.constants.ENDPOINT, "HF_HOME": str(tmp_path / "home")}
    process = subprocess.run(
        [*command, "--out", tmp_path / "maps"], cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    (row,) = csv_files.read(tmp_path / "maps/maps.csv")
    assert row["target"] in ("Dots", "Facets", "Waves")


NETWORKS = [
    yaml.safe_load(path.read_text())["architecture"]
    for path in sorted((REPOSITORY / "conf/model").glob("*.yaml"))
    if path.stem != "timm" and "- timm\n" not in path.read_text()
]


@pytest.mark.long
@pytest.mark.parametrize("head", heads.HEADS)
@pytest.mark.parametrize("architecture", NETWORKS)
def test_each_network_exports(architecture: str, head: str, tmp_path: Path) -> None:
    """All of conf/model, both heads where they fit, with random weights and answers that differ."""
    if head == "replace_two" and not architecture.startswith(("alexnet", "vgg")):
        pytest.skip("one fully connected layer")
    torch.manual_seed(0)
    model = StyleClassifier(architecture, head, 7, weights=None)
    smallest = backbones.smallest_size(architecture)
    size = 224 if architecture.startswith("vit") else max(64, smallest)
    model.preprocessing = backbones.preprocessing(architecture, size)
    with torch.inference_mode():
        logits = model.eval()(model.transform([demo.paint("Dots", number, size) for number in range(8)]))
        model.new_layer.weight.div_(logits.std().clamp_min(1e-3))
    path = tmp_path / "best.ckpt"
    content = {"state_dict": model.state_dict(), "brushwork": checkpoint.describe(model), "hyper_parameters": {}}
    torch.save(content, path)
    export = folder.write(path, tmp_path / "export", folder.Choices(timed=False))
    assert max(one.difference for one in export.formats[1:]) < checks.TOLERANCE
    print(architecture, head, *(f"{one.difference:.1e}" for one in export.formats[1:]))


def test_the_default_folder_is_in_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From wherever the checkpoint is named."""
    script = runpy.run_path(str(REPOSITORY / "scripts/export.py"))
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    for place, given in [("run/checkpoints", "best.ckpt"), ("run", "checkpoints/best.ckpt"), (".", "run/best.ckpt")]:
        monkeypatch.chdir(tmp_path / place)
        assert script["default_folder"](Path(given)) == tmp_path / "run/export"
