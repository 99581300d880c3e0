"""Exports, by what others' programs make of them, beside the checkpoint's own answers."""

import dataclasses
import json
import logging
import re
import socket
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import safetensors.torch
import torch
from huggingface_hub import ModelCard
from PIL import Image, ImageOps
from torchvision import models

from brushwork import csv_files, images
from brushwork.errors import UserError
from brushwork.export import card, checks, folder, source
from brushwork.models import checkpoint as checkpoints
from brushwork.models.classifier import StyleClassifier
from brushwork.models.predictor import load_predictor
from brushwork.paintings import demo
from brushwork.preprocessing import Preprocessing
from tests.conftest import REPOSITORY, STYLES


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [demo.paint(style, number, 64) for number, style in enumerate([*STYLES, *STYLES, "Rings"])]


@pytest.fixture(scope="module")
def expected(checkpoint: Path, pictures: list[Image.Image]) -> np.ndarray:
    """By Lightning's module, not by what the export was made of: (pictures, classes), the classes in order."""
    model = StyleClassifier.load_from_checkpoint(checkpoint)
    return np.array([[answer.probabilities[name] for name in model.class_names] for answer in model.predict(pictures)])


def pixels(pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(picture) for picture in pictures])


def test_onnx_runtime_answers_as_the_model_does(
    exported: Path, pictures: list[Image.Image], expected: np.ndarray
) -> None:
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    about = session.get_modelmeta().custom_metadata_map
    assert (json.loads(about["class_names"]), about["image_size"], about["resize"]) == (STYLES, "64", "squash")
    for size in (7, 1):
        probabilities, logits = session.run(None, {"pixels": pixels(pictures[:size])})
        assert probabilities == pytest.approx(expected[:size], abs=1e-5)
        assert float(about["temperature"]) != 1
        scaled = torch.from_numpy(logits) / float(about["temperature"])
        assert scaled.softmax(1).numpy() == pytest.approx(expected[:size], abs=1e-5)


def test_torch_loads_the_program(exported: Path, pictures: list[Image.Image], expected: np.ndarray) -> None:
    about = {"class_names": ""}
    program = torch.export.load(exported / "model.pt2", extra_files=about).module()
    assert json.loads(about["class_names"]) == STYLES
    for size in (7, 1):
        assert program(torch.from_numpy(pixels(pictures[:size])))[0].numpy() == pytest.approx(expected[:size], abs=1e-5)


def test_safetensors_hold_all_that_the_checkpoint_does(exported: Path, checkpoint: Path) -> None:
    before, after = load_predictor(checkpoint), load_predictor(exported)
    state = after.network.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in before.network.state_dict().items())
    assert before.calibration.is_fitted and after.calibration == before.calibration
    features = torch.randn(5, len(before.familiarity.mean))
    assert torch.equal(after.familiarity.distance(features), before.familiarity.distance(features))
    assert after.preprocessing == before.preprocessing
    differ = {key for key, value in before.described.items() if str(after.described[key]) != str(value)}
    assert differ <= {"data", "familiarity"}
    models.squeezenet1_1(num_classes=3).load_state_dict(safetensors.torch.load_file(exported / "model.safetensors"))


def test_an_export_is_a_start_for_training(exported: Path, checkpoint: Path) -> None:
    started = StyleClassifier("squeezenet1_1", "replace_last", 3, weights=str(exported), class_names=STYLES)
    trained = StyleClassifier.from_pretrained(exported).network.state_dict()
    assert all(torch.equal(value, trained[key]) for key, value in started.network.state_dict().items())
    with pytest.raises(UserError, match="has other classes than the data: only in the checkpoint: Dots"):
        StyleClassifier("squeezenet1_1", "replace_last", 3, weights=str(exported), class_names=["a", "b", "c"])


def code(card: str) -> str:
    return re.search(r"```python\n(import json.*?)```", card, re.S)[1]


def test_the_ten_lines_of_the_card(
    exported: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    lines = code((exported / "README.md").read_text())
    assert lines == code((REPOSITORY / "docs/use.md").read_text())
    assert len([line for line in lines.splitlines() if line]) == 10
    assert "brushwork" not in lines
    demo.paint("Dots", 3, 200).save(tmp_path / "painting.jpg")
    (tmp_path / "model.onnx").symlink_to(exported / "model.onnx")
    monkeypatch.chdir(tmp_path)
    exec(compile(lines, "README.md", "exec"), {})
    found = [(name, value) for value, name in eval(capsys.readouterr().out)]
    (answer,) = StyleClassifier.load_from_checkpoint(checkpoint).predict("painting.jpg")
    assert dict(found) == pytest.approx(answer.probabilities, abs=0.01)
    assert found[0][0] == answer.predicted


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_pillow_resizes_in_the_same_way(resize: str) -> None:
    picture = demo.paint("Rays", 0, 150).crop((0, 0, 150, 97))
    lines = card.example(resize).split('int(about["image_size"])\n')[1].partition("probabilities =")[0]
    names = {"Image": Image, "ImageOps": ImageOps, "picture": picture, "size": 64}
    exec(lines, names)
    theirs = np.asarray(names["picture"], float)
    ours = np.asarray(images.resize(picture, 64, resize), float)
    assert np.abs(ours - theirs).mean() < 1
    assert np.array_equal(theirs, source.by_pillow(picture, Preprocessing(64, (0,) * 3, (1,) * 3, resize)))


def test_the_card_has_the_runs_figures(exported: Path, finished: Path) -> None:
    result = json.loads((finished / "result.json").read_text())
    found = ModelCard.load(exported / "README.md")
    assert (found.data.library_name, found.data.pipeline_tag, found.data.license) == (
        "brushwork",
        "image-classification",
        "other",
    )
    assert found.data.eval_results[0].metric_value == round(result["best"]["val/accuracy"], 4)
    low, high = result["val_interval_95"]
    assert f"**{result['best']['val/accuracy']:.3f} [{low:.3f}, {high:.3f}]**" in found.text
    for value in filter(None, result["baselines"].values()):
        assert f"{value:.3f}" in found.text
    measured = result["calibration"]["best"]
    assert f"temperature of {measured['temperature']:.3f}" in found.text
    assert f"| {measured['ece_before']:.3f} | {measured['ece_after']:.3f} |" in found.text
    assert "![Confusion matrix](confusion_matrix.png)" in found.text
    assert Image.open(exported / "confusion_matrix.png").width > 300
    assert (
        "It may know painters, not styles: 100% of the validation part is by painters of the training part"
        in found.text
    )
    assert "saliency" not in found.text.lower()  # these are taken for paintings


def test_nothing_names_this_machine(exported: Path, finished: Path, paintings: Path) -> None:
    files = sorted(exported.iterdir())
    assert {path.name for path in files} == {
        *("README.md", "config.json", "model.safetensors", "familiarity.safetensors", "model.onnx", "model.pt2"),
        "confusion_matrix.png",
    }
    for path in files:
        content = path.read_bytes()
        for private in (finished, paintings, Path.home(), Path(__file__).parents[2], "site-packages"):
            assert len(str(private)) < 6 or str(private).encode() not in content, (path, private)
        assert path.suffix != ".md" or socket.gethostname() not in content.decode()


def test_what_differs_is_refused(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(checks, "TOLERANCE", -1.0)
    with pytest.raises(UserError, match=r"safetensors differs from the checkpoint by .* nothing was exported"):
        folder.write(checkpoint, out, folder.Choices(formats=["safetensors"], timed=False))
    assert list(tmp_path.iterdir()) == []
    assert checks.largest(np.array([[np.nan]]), np.ones((1, 1))) == np.inf


def test_an_export_replaces_an_earlier_one_only(checkpoint: Path, tmp_path: Path) -> None:
    choices = folder.Choices(formats=["safetensors"], timed=False, licence="apache-2.0")
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UserError, match=r"holds README\.md of something else: choose another --out"):
        folder.write(checkpoint, tmp_path, choices)
    (tmp_path / "README.md").unlink()
    (tmp_path / "notes.txt").write_text("mine")
    folder.write(checkpoint, tmp_path, choices)
    (tmp_path / "model.onnx").write_bytes(b"of an earlier checkpoint")
    export = folder.write(checkpoint, tmp_path, choices)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*export.names, "notes.txt"}
    assert "model.onnx" not in left
    text = (tmp_path / "README.md").read_text()
    assert "license: apache-2.0" in text and "onnxruntime" not in text


def test_without_its_run_a_card_says_what_the_checkpoint_knows(checkpoint: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.ckpt"
    moved.write_bytes(checkpoint.read_bytes())
    export = folder.write(moved, tmp_path / "out", folder.Choices(formats=["safetensors"], timed=False))
    text = (tmp_path / "out/README.md").read_text()
    assert "Not measured here" in text and "model-index" not in text and "temperature of" in text
    assert export.pictures == "32 pictures that the demo paints"
    assert ModelCard.load(tmp_path / "out/README.md").data.datasets == ["paintings"]


def test_a_run_of_another_split_is_not_this_checkpoints(
    checkpoint: Path, finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = checkpoints.read(checkpoint)
    assert source.find(checkpoint, content).epoch == "best"
    assert source.find(checkpoint, content | {"epoch": 7}).epoch is None
    content["brushwork"] = content["brushwork"] | {"split_hash": "another"}
    assert source.find(checkpoint, content) is None
    assert "its figures are not used" in caplog.text


def test_the_comparison_of_its_sweep(checkpoint: Path, finished: Path, tmp_path: Path) -> None:
    """A comparison is quoted where it names the run, and only there."""
    from brushwork.export import measured

    found = source.find(checkpoint, checkpoints.read(checkpoint))
    sweep = tmp_path / "logs/heads"
    run = dataclasses.replace(found.run, folder=sweep / "one")
    found = dataclasses.replace(found, run=run)
    (tmp_path / "logs/comparison").mkdir(parents=True)
    text = "**No difference.**\n\n- replace_last, seed 0: `logs/heads/one`\n- replace_two, seed 0: `logs/heads/two`\n"
    (tmp_path / "logs/comparison/comparison.md").write_text(text)
    base = {"quantity": "validation accuracy, last epoch"}
    rows = [base | {"arm": "replace_last", "seed": 0, "value": 0.5}]
    rows += [
        base | {"arm": arm, "value": v, "deviation": 0.1, "low": 0.2, "high": 0.8}
        for arm, v in [("replace_two", 0.9), ("replace_last", 0.5)]
    ]
    csv_files.write(
        tmp_path / "logs/comparison/comparison.csv",
        ["arm", "quantity", "seed", "value", "deviation", "low", "high"],
        rows,
    )
    assert measured.compared(found) == ("replace_last", "0.500 ± 0.100 [0.200, 0.800]", 1, ["No difference."])
    other = dataclasses.replace(found, run=dataclasses.replace(run, folder=sweep / "three"))
    assert measured.compared(other) is None


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"formats": ["onix"]}, "unknown --format 'onix': did you mean 'onnx'"),
        ({"formats": []}, "unknown --format ''"),
        ({"formats": ["safetensors"], "half": True}, "add onnx to --format"),
        ({"data": Path("/nowhere")}, "there is no folder /nowhere: --data names"),
    ],
)
def test_mistakes(checkpoint: Path, tmp_path: Path, choices: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        folder.write(checkpoint, tmp_path / "out", folder.Choices(**choices))
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_a_line(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"onnxscript is not installed.*pip install '\.\[export\]'"):
        folder.write(checkpoint, tmp_path / "out", folder.Choices())


@pytest.mark.slow
def test_smaller_files_and_what_they_cost(checkpoint: Path, tmp_path: Path) -> None:
    choices = folder.Choices(formats=["onnx"], half=True, quantize="static")
    handlers = [*logging.root.handlers]
    export = folder.write(checkpoint, tmp_path / "out", choices)
    assert logging.root.handlers == handlers  # else all that is logged would be told twice
    whole, _, half, int8 = export.formats
    rows = csv_files.read(checkpoint.parents[1] / "predictions.csv")
    best = [row for row in rows if (row["part"], row["epoch"]) == ("val", "best")]
    assert whole.accuracy == pytest.approx(np.mean([row["style"] == row["predicted"] for row in best]))
    assert half.bytes < 0.6 * export.formats[1].bytes and int8.bytes < 0.4 * export.formats[1].bytes
    assert half.difference < 0.02 and int8.difference < 0.3
    assert all(len(one.milliseconds) == 2 and min(one.milliseconds) > 0 for one in export.formats)
    session = onnxruntime.InferenceSession(tmp_path / "out/model_int8.onnx")
    assert [value.type for value in session.get_inputs() + session.get_outputs()] == ["tensor(uint8)"] + [
        "tensor(float)"
    ] * 2
    assert (
        f"| `model_int8.onnx` | ONNX, int8 static | {checks.megabytes(int8.bytes)} |"
        in (tmp_path / "out/README.md").read_text()
    )
    folder.write(checkpoint, tmp_path / "out", folder.Choices(formats=["onnx"], quantize="dynamic", timed=False))
    moved = tmp_path / "moved.ckpt"
    moved.write_bytes(checkpoint.read_bytes())
    with pytest.raises(UserError, match="--quantize static needs training paintings"):
        folder.write(moved, tmp_path / "other", choices)
    export = folder.write(moved, tmp_path / "other", dataclasses.replace(choices, quantize=None, timed=False))
    assert export.not_measured == "the checkpoint is not in the folder of a finished run"
    assert logging.root.manager.disable == logging.NOTSET
