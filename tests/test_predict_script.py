"""scripts/predict.py, as a user starts it."""

import io
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from brushwork import csv_files, run_folder
from brushwork.inference import answers, labels
from brushwork.models import checkpoint as checkpoints
from brushwork.models.familiarity import Familiarity
from brushwork.models.predictor import load_predictor
from tests.conftest import STYLES, Run


@pytest.fixture
def checkpoint(small_run: Path) -> Path:
    return small_run / run_folder.BEST


@pytest.fixture(scope="module")
def changed(small_run: Path, paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a checkpoint that withholds the answers below 0.34, and finds half of the pictures odd."""
    folder = tmp_path_factory.mktemp("changed") / "run"
    shutil.copytree(small_run, folder)
    content = torch.load(folder / run_folder.BEST, weights_only=True)
    content[checkpoints.KEY]["calibration"] = {
        "temperature": 0.5,
        "paintings": 6,
        "curve": [[0.5, 1.0, 0.2], [0.34, 0.8, 0.5], [0.33, 0.4, 1.0]],
    }
    found = answers.predict(load_predictor(small_run / run_folder.BEST), sorted(paintings.rglob("*.jpg")))
    features = torch.stack([answer.features for answer in found])
    mean, components = features.mean(0), torch.eye(2, features.shape[1]).half()
    half = Familiarity(mean, components, 0.0, 0.0, 0.05).distance(features).median().item()
    content[checkpoints.KEY]["familiarity"] = Familiarity(mean, components, 0.0, half, 0.05).plain()
    torch.save(content, folder / run_folder.BEST)
    return folder


def torn(out: Path, table: str, rows: int) -> None:
    """Leaves the folder as a kill does: so many whole rows, part of one, none of what needs all answers."""
    lines = (out / table).read_bytes().splitlines(keepends=True)
    (out / table).write_bytes(b"".join(lines[: rows + 1]) + lines[rows + 1][:9])
    for name in ("predictions.html", "scores.json", "confusion.png", "mistakes.png"):
        (out / name).unlink(missing_ok=True)


def test_a_line_and_a_row_for_each_picture(run: Run, checkpoint: Path, paintings: Path, tmp_path: Path) -> None:
    code, out, error = run("predict", checkpoint, paintings, "--out", "answers", "--no-calibration")
    assert (code, error) == (0, "")
    table = tmp_path / "answers/predictions.csv"
    header = "path,predicted,probability,style_2,probability_2,style_3,probability_3"
    assert table.read_text().startswith(header)
    rows = csv_files.read(table)
    paths = sorted(paintings.rglob("*.jpg"))
    assert [row["path"] for row in rows] == [str(path.relative_to(paintings)) for path in paths]
    found = list(answers.predict(load_predictor(checkpoint), paths, calibrated=False))
    for row, answer in zip(rows, found, strict=True):
        values = answer.probabilities.tolist()
        assert row["probability"] == f"{max(values):.6f}"
        assert [row["predicted"], row["style_2"], row["style_3"]] == [STYLES[i] for i in answer.top(3)]
        assert row["probability_3"] == f"{min(values):.6f}"
    lines = out.splitlines()
    assert [line.split("  ")[0] for line in lines[:30]] == [row["path"] for row in rows]
    assert f"{rows[0]['predicted']} {float(rows[0]['probability']):.3f}, " in lines[0]
    assert lines[-1] == "results: answers (predictions.csv)"
    assert {path.name for path in tmp_path.iterdir()} == {"answers"}

    code, _, error = run("predict", checkpoint, paintings, "--out", "answers")
    assert code == 1
    assert "answers holds predictions.csv already: choose another --out, --resume" in error
    before = table.read_bytes()
    code, _, error = run("predict", checkpoint, paintings, "--out", "answers", "--resume")
    assert (code, error.count("was begun with calibrated False, not True: resume with the same")) == (1, 1)
    assert table.read_bytes() == before
    assert run("predict", checkpoint, paths[0], paths[0], "--out", "answers", "--overwrite", "--top", 2)[0] == 0
    (first, second) = csv_files.read(table)
    assert first == second
    assert list(first) == ["path", "predicted", "probability", "style_2", "probability_2"]
    assert first["path"] == str(paths[0])


def test_json_alone_on_standard_output(
    run: Run,
    checkpoint: Path,
    paintings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a glob and a list; a file that is missing there is an object, too. Nothing is written."""
    listed = sorted(paintings.glob("Waves/*"))[:2]
    content = b"\0".join(bytes(path) for path in (*listed, tmp_path / "gone.jpg"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    code, out, error = run("predict", checkpoint, f"{paintings}/**/*_01.jpg", "--json", "-", "--similar", 2)
    told = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert f"error: {tmp_path}/gone.jpg: there is no such file" in error
    assert "1 of 6 pictures failed" in error
    assert [one["path"] for one in told if "error" not in one] == [
        *map(str, sorted(paintings.glob("*/*_01.jpg"))),
        *map(str, listed),
    ]
    (failed,) = [one for one in told if "error" in one]
    assert failed["path"] == f"{tmp_path}/gone.jpg"
    answer = told[-1]
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert answer["predicted"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert answer["probability"] == max(answer["probabilities"].values())
    assert len(answer["similar"]) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_interrupted_run_goes_on(
    run: Run, checkpoint: Path, paintings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that it leaves is what an unbroken one leaves, byte by byte."""
    monkeypatch.setattr(labels, "confusion", lambda *_: Image.new("RGB", (9, 9)))  # matplotlib takes a second
    folder = tmp_path / "pictures"
    shutil.copytree(paintings, folder)
    for name in ("Dots/broken.jpg", "Waves/zbroken.jpg"):
        (folder / name).write_bytes(b"nothing")
    command = ["predict", checkpoint, folder, "--labels", folder, "--embed", "npy", "--similar", 1, "--resume"]
    assert run(*command, "--out", "whole")[0] == 1
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert whole.keys() >= {"predictions.csv", "skipped.csv", "features.npy", "predictions.html", "confusion.png"}
    out = tmp_path / "torn"
    for rows, rows_of_features, done in [(5, 6, 0), (17, 30, 17), (26, 12, 8)]:
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", out)
        torn(out, "predictions.csv", rows)
        (out / "features.npy").unlink()
        width = (len(whole["features.npy"]) - 128) // 30
        (out / ".features.npy.tmp").write_bytes(whole["features.npy"][: 128 + rows_of_features * width + 7])
        code, said, _ = run(*command, "--out", "torn")
        assert code == 1
        assert (f"{done} of 32 pictures are done already" in said) == bool(done)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == whole
    code, said, _ = run(*command, "--out", "torn")  # nothing left to do
    assert "32 of 32 pictures are done already" in said
    assert {path.name: path.read_bytes() for path in out.iterdir()} == whole


def test_answers_that_are_not_sure_are_withheld(run: Run, changed: Path, paintings: Path, tmp_path: Path) -> None:
    best = changed / run_folder.BEST
    code, out, error = run("predict", best, paintings, "--out", "answers", "--withhold", 0.8, "--labels", paintings)
    assert (code, error) == (0, "")
    rows = csv_files.read(tmp_path / "answers/predictions.csv")
    sure = list(answers.predict(load_predictor(best), [paintings / row["path"] for row in rows]))
    for row, answer in zip(rows, sure, strict=True):
        probabilities = (answer.logits / 0.5).softmax(0)
        assert float(row["probability"]) == pytest.approx(float(probabilities.max()), abs=1e-6)
        assert row["most_likely"] == STYLES[int(probabilities.argmax())]
        assert row["predicted"] == (row["most_likely"] if probabilities.max() >= 0.34 else "not sure")
    withheld = sum(row["predicted"] == "not sure" for row in rows)
    odd = [bool(answer.unlike) for answer in sure]
    assert 10 < sum(odd) < 20
    assert [row["unlike_training"] == "yes" for row in rows] == odd
    assert [f"{answer.distance:.4f}" for answer in sure] == [row["distance"] for row in rows]
    lines = [line for line in out.splitlines() if ".jpg  " in line]
    assert ["unlike the training pictures (distance " in line for line in lines] == odd
    assert f"{sum(odd)} of 30 pictures are unlike the training pictures, as are 5.0% of held-out paintings" in out
    assert f"{withheld} of 30 answers (" in out
    assert ("not sure: " in out) == bool(withheld)
    for options, message in [
        (["--withhold", 0.9, "--no-calibration"], "leave out --ensemble and --no-calibration"),
        (["--withhold", 0.9, "--ensemble", best], "leave out --ensemble and --no-calibration"),
        (["--withhold", 2], "expected a precision above 0 and up to 1, but got 2"),
    ]:
        code, _, error = run("predict", best, paintings, *options)
        assert code == 1
        assert message in error


def test_what_the_labels_say(run: Run, small_run: Path, paintings: Path, tmp_path: Path) -> None:
    """Scores by hand; pictures of the run's parts are found by content, under whatever name."""
    best, folder = small_run / run_folder.BEST, tmp_path / "mine"
    shutil.copytree(paintings, folder)
    part_of = {row["path"]: row["part"] for row in csv_files.read(small_run / run_folder.SPLIT)}
    for number, path in enumerate(sorted(folder.rglob("*.jpg"))):
        part = part_of[str(path.relative_to(folder))]
        path.rename(path.with_name(f"by-me_{number:02}{part}.jpg"))
    Image.new("RGB", (50, 50), "red").save(folder / "Dots/by-you_red.jpg")
    Image.new("RGB", (50, 50), "blue").save(folder / "Waves/by-you_blue.jpg")
    (folder / "Cubes").mkdir()
    Image.new("RGB", (50, 50), "green").save(folder / "Cubes/by-you_green.jpg")
    code, out, error = run("predict", best, folder, "--labels", folder, "--out", "answers", "--no-calibration")
    assert (code, error) == (0, "")
    assert "1 pictures are of styles that the network does not have: Cubes (1)" in out
    rows = csv_files.read(tmp_path / "answers/predictions.csv")
    judged = [row for row in rows if row["true"]]
    assert [row["path"] for row in rows if not row["true"]] == ["Cubes/by-you_green.jpg"]
    assert all(row["true"] == row["path"].split("/")[0] for row in judged)
    right = [row["true"] == row["predicted"] for row in judged]
    scores = json.loads((tmp_path / "answers/scores.json").read_text())
    assert scores["all"]["accuracy"] == pytest.approx(np.mean(right))
    by_style = [np.mean([r for r, row in zip(right, judged, strict=True) if row["true"] == s]) for s in STYLES]
    assert scores["all"]["balanced_accuracy"] == pytest.approx(np.mean(by_style))
    low, high = scores["all"]["interval_95"]
    assert low <= np.mean(right) <= high
    assert (scores["in_training_part"], scores["in_validation_part"]) == (24, 6)
    assert scores["unseen"]["pictures"] == 2
    assert "of these 33 pictures 24 are in the training part and 6 are in the validation part" in " ".join(out.split())
    assert Image.open(tmp_path / "answers/confusion.png").width > 300
    assert (tmp_path / "answers/mistakes.png").exists() == (not all(right))

    (tmp_path / "link.jpg").symlink_to(folder / judged[0]["path"])
    code, out, _ = run("predict", best, tmp_path / "link.jpg", "--labels", folder, "--json")
    assert json.loads(out)["true"] == judged[0]["true"]

    moved = tmp_path / "moved"  # without the paintings: by name; without the run folder: not at all
    shutil.copytree(small_run, moved)
    (moved / "config.yaml").write_text("data:\n  root: /nowhere\n")
    waves = sorted(paintings.glob("Waves/*"))
    table = [{"Datei": f"wikiart/waves/{path.name}", "style": "waves"} for path in waves]
    csv_files.write(tmp_path / "labels.csv", ["Datei", "style"], table)
    csv_files.write(tmp_path / "table.csv", ["file", "style"], [{**row, "file": row["Datei"]} for row in table])
    code, out, _ = run("predict", moved / run_folder.BEST, paintings / "Waves", "--labels", "table.csv")
    assert code == 0
    assert "compared with them by file name only" in out
    assert re.search(r"of these 10 pictures \d are in the training part", " ".join(out.split()))
    code, out, _ = run("predict", moved / run_folder.BEST, folder, "--labels", folder, "--root", paintings)
    assert "24 are in the training part and 6 are" in " ".join(out.split())
    code, out, _ = run("predict", moved / run_folder.BEST, paintings / "Waves", "--labels", "table.csv", "--root", ".")
    assert "compared with them by file name only" in out  # the folder is there, but empty of them
    three = run("predict", best, *[waves[0]] * 3, "--labels", "table.csv", "--json")[1]
    assert [json.loads(line)["true"] for line in three.splitlines()] == ["Waves"] * 3
    shutil.copy(best, tmp_path / "alone.ckpt")
    code, out, _ = run("predict", "alone.ckpt", paintings / "Waves", "--labels", "table.csv")
    assert "whether alone.ckpt was trained on these pictures is not known" in out
    for place, message in [
        ("labels.csv", "has no column of files"),
        ("gone", "there is no table"),
        (folder / "Dots", "names none of the 10 pictures"),
    ]:
        code, _, error = run("predict", best, paintings / "Waves", "--labels", place)
        assert (code, error.count("\n")) == (1, 1)
        assert message in error


def test_answers_explained(run: Run, small_run: Path, paintings: Path, tmp_path: Path) -> None:
    best = small_run / run_folder.BEST
    (tmp_path / "confusion.jpg").write_bytes(next(paintings.glob("Dots/*")).read_bytes())
    command = ["predict", best, paintings / "Dots", "confusion.jpg", "--explain", "gradient,gradcam", "--similar", 2]
    code, out, error = run(*command, "--out", "answers", "--labels", paintings, "--ensemble", best)
    assert (code, error) == (0, "")
    rows = csv_files.read(tmp_path / "answers/predictions.csv")
    assert {row["agreement"] for row in rows} == {"1.0000"}
    stems = [Path(row["path"]).stem for row in rows[:-1]] + ["confusion_2"]
    for stem in stems:
        assert Image.open(tmp_path / f"answers/{stem}.png").width == 3 * 348
    split = {row["path"]: row["part"] for row in csv_files.read(small_run / run_folder.SPLIT)}
    assert {split[row["similar_1"]] for row in rows} == {"train"}
    assert float(rows[0]["similarity_1"]) >= float(rows[0]["similarity_2"])
    page = (tmp_path / "answers/predictions.html").read_text()
    assert page.count('<section class="answer">') == 11
    assert page.count("data:image/webp") == 11 * (1 + 2 + 2) + 1
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "2 of\n      2 networks agree" in page
    assert "results: answers (NAME.png, predictions.csv, predictions.html, confusion.png" in out
    code, _, error = run("predict", best, "answers/confusion_2.png", "--explain", "gradient", "--out", "answers")
    assert (code, error) == (1, "error: answers/confusion_2.png is one of the photos: choose another --out\n")
    (tmp_path / "none.jpg").touch()  # after a whole batch: the last one has no answers
    code, out, error = run("predict", best, "confusion.jpg", "none.jpg", "--batch-size", 1, *command[4:], "--out", "x")
    assert (code, error.count("\n")) == (1, 1)
    assert out.splitlines()[-1] == "results: x (NAME.png, predictions.csv, skipped.csv, predictions.html)"


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_features_in_the_order_of_the_table(
    run: Run, checkpoint: Path, paintings: Path, tmp_path: Path, kind: str
) -> None:
    code, _, error = run("predict", checkpoint, paintings, "--out", "answers", "--embed", kind)
    assert (code, error) == (0, "")
    paths = [row["path"] for row in csv_files.read(tmp_path / "answers/predictions.csv")]
    expected = torch.stack(
        [one.features for one in answers.predict(load_predictor(checkpoint), [paintings / path for path in paths])]
    ).numpy()
    if kind == "npy":
        found = np.load(tmp_path / "answers/features.npy")
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        table = parquet.read_table(tmp_path / "answers/features.parquet")
        assert table["path"].to_pylist() == paths
        found = np.array(table["features"].to_pylist(), np.float32)
    assert np.array_equal(found, expected)
    assert not list((tmp_path / "answers").glob(".*.tmp"))


def test_parquet_without_pyarrow_is_refused_in_a_line(
    run: Run,
    checkpoint: Path,
    paintings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, error = run("predict", checkpoint, paintings, "--out", "answers", "--embed", "parquet")
    assert (code, error.count("\n")) == (1, 1)
    assert "pip install '.[parquet]'" in error
    assert not (tmp_path / "answers").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.jpg"], "error: there is no file or folder {folder}/gone.jpg"),
        (["*.tif"], "error: no photo matches *.tif"),
        (["PAINTINGS", "--resume"], "error: --resume needs a folder for the results: --out DIR"),
        (["PAINTINGS", "--explain", "gradient"], "error: --explain needs a folder for the results: --out DIR"),
        (["PAINTINGS", "--out", "x", "--explain", "gradkam"], "unknown saliency method 'gradkam': did you mean"),
        (["PAINTINGS", "--device", "tpu"], "--device tpu is not available"),
        (["PAINTINGS", "--out", "taken"], "error: {folder}/taken is a file: choose another --out"),
    ],
)
def test_a_mistake_is_one_line(
    run: Run, changed: Path, paintings: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "taken").write_bytes(b"")
    given = [str(paintings) if argument == "PAINTINGS" else argument for argument in arguments]
    code, _, error = run("predict", changed / run_folder.BEST, *given)
    assert (code, error.count("\n")) == (1, 1)
    assert message.format(folder=tmp_path) in error
    assert {path.name for path in tmp_path.iterdir()} == {"taken"}


def test_a_file_that_is_no_checkpoint(run: Run, paintings: Path, tmp_path: Path) -> None:
    for name, content in [("gone.ckpt", None), ("empty.ckpt", b""), ("torn.ckpt", b"PK\3\4torn")]:
        if content is not None:
            (tmp_path / name).write_bytes(content)
        code, _, error = run("predict", name, paintings)
        assert (code, error.count("\n")) == (1, 1)
        assert name in error
