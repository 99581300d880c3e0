"""The scripts, as a user starts them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brushwork import csv_files, run_folder
from brushwork.paintings import demo
from tests.conftest import REPOSITORY, Run


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from torchvision import models

    path = tmp_path_factory.mktemp("weights") / "squeezenet.pth"
    torch.manual_seed(0)
    torch.save(models.squeezenet1_1().state_dict(), path)
    return path


@pytest.fixture
def checkpoint(small_run: Path) -> Path:
    return small_run / run_folder.BEST


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    demo.paint("Dots", 0, 250).save(folder / "one.jpg")
    demo.paint("Waves", 0, 250).save(folder / "one.png")
    demo.paint("Facets", 0, 250).save(folder / "zwei größer.jpg")
    return folder


@pytest.mark.parametrize(
    "name", ["app", "predict", "export", "saliency", "compare", "finetune_or_scratch", "figures", "prepare_wikiart"]
)
def test_help_imports_nothing_heavy(name: str) -> None:
    command = [sys.executable, "-X", "importtime", str(REPOSITORY / "scripts" / f"{name}.py"), "--help"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0
    assert "examples:" in process.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in process.stderr.splitlines()}
    assert imported.isdisjoint({"torch", "torchvision", "lightning", "scipy", "matplotlib", "numpy", "datasets"})


def test_a_picture_a_map_and_a_line_for_each_photo(run: Run, photos: Path, weights: Path, tmp_path: Path) -> None:
    options = ["--model", "squeezenet1_1", "--weights", weights, "--target", "tabby", "--top", 2, "--device", "cpu"]
    code, out, error = run("saliency", photos, *options, "--out", "maps", "--batch-size", 2)
    assert (code, error) == (0, "")
    names = ["one", "one_2", "zwei größer"]
    rows = csv_files.read(tmp_path / "maps/maps.csv")
    assert [Path(row["picture"]).stem for row in rows] == names
    for name, row in zip(names, rows, strict=True):
        saliency = np.load(tmp_path / "maps" / f"{name}.npy")
        assert (saliency.shape, saliency.dtype) == ((224, 224), np.float32)
        assert saliency.min() >= 0
        picture = Image.open(tmp_path / "maps" / f"{name}.png")
        assert picture.width == 3 * 348
        assert row["target"] == "tabby"
        assert row["top"].count(", ") >= 1
        assert row["predicted"] in out
    for photo in ("one.jpg", "one.png", "zwei größer.jpg"):
        assert photo in out
    assert "3 maps of squeezenet1_1 on " in out
    assert out.splitlines()[-1].startswith("results: maps (")
    events = EventAccumulator(str(tmp_path / "maps")).Reload()
    assert events.Tags()["images"] == [f"saliency/{name}" for name in names]
    assert "photos/text_summary" in events.Tags()["tensors"]

    code, _, error = run("saliency", photos / "one.jpg", *options, "--out", "maps")
    assert code == 1
    assert error == (
        f"error: {tmp_path}/maps holds one.png and 1 more already: choose another --out, --resume (an interrupted "
        "run), or --overwrite\n"
    )
    code, _, error = run("saliency", photos, *options, "--out", photos, "--overwrite")
    assert (code, error) == (1, "error: " + str(photos / "one") + ".png is one of the photos: choose another --out\n")
    before = np.load(tmp_path / "maps/one_2.npy")
    assert run("saliency", photos / "one.png", *options, "--out", "maps", "--overwrite")[0] == 0
    assert np.load(tmp_path / "maps/one.npy") == pytest.approx(before, abs=1e-5 * float(before.max()))


def test_maps_by_another_method_with_boxes(run: Run, photos: Path, weights: Path, tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="OpenCV is an extra: pip install '.[box]'")
    options = ["--model", "squeezenet1_1", "--weights", weights, "--method", "integrated_gradients", "--box"]
    code, out, error = run("saliency", photos / "one.jpg", *options, "--out", "maps")
    assert (code, error) == (0, "")
    (row,) = csv_files.read(tmp_path / "maps/maps.csv")
    assert row["method"] == "integrated_gradients"
    assert row["top"].count(", ") == 2  # the classes, not the box's edge
    assert 0 <= float(row["completeness_error"]) < 0.1 * abs(float(row["score_rise"]))
    left, top, right, bottom = (int(row[f"box_{edge}"]) for edge in ("left", "top", "right", "bottom"))
    assert 0 <= left < right <= 224
    assert 0 <= top < bottom <= 224
    assert f", box {left} {top} {right} {bottom}\n" in out
    assert "  integrated_gradients: completeness error " in out
    assert " by integrated_gradients, " in out
    assert Image.open(tmp_path / "maps/one.png").width == 4 * 348


def test_an_interrupted_run_goes_on(run: Run, photos: Path, weights: Path, tmp_path: Path) -> None:
    """From a folder as a kill leaves it: a row torn, a photo with one of its two methods, a map not yet there."""
    options = ["--model", "squeezenet1_1", "--weights", weights, "--method", "gradient,gradcam", "--out", "maps"]
    options += ["--device", "cpu"]
    command = ["saliency", photos, *options, "--resume"]
    assert run(*command)[0] == 0  # nothing there yet: begins
    maps, table = tmp_path / "maps", tmp_path / "maps/maps.csv"
    whole, made = csv_files.read(table), {path.name: np.load(path) for path in maps.glob("*.npy")}
    assert len(whole) == len(made) == 6
    assert [row["map"] for row in whole[:2]] == ["one_gradient.npy", "one_gradcam.npy"]
    lines = table.read_text().splitlines(keepends=True)
    for rows, gone, kept in [
        ("".join(lines[:5]) + lines[5][:-4], None, 2),
        ("".join(lines[:4]), None, 1),
        ("".join(lines[:2]), None, 0),
        ("".join(lines), "one_2_gradient.npy", 2),
        ("".join(lines), None, 3),
    ]:
        table.write_text(rows)
        if gone:
            (maps / gone).unlink()
        before = (maps / "one_gradcam.npy").stat().st_mtime_ns
        code, out, error = run(*command)
        assert (code, error) == (0, "")
        assert (f"{kept} of 3 photos have their maps already" in out) == bool(kept)
        assert ((maps / "one_gradcam.npy").stat().st_mtime_ns == before) == bool(kept)
        now = csv_files.read(table)
        assert sorted((row["map"], row["top"]) for row in now) == sorted((row["map"], row["top"]) for row in whole)
        for name, saliency in made.items():
            assert np.load(maps / name) == pytest.approx(saliency, abs=1e-4 * float(saliency.max()))

    before = table.read_bytes()
    for other, message in [
        (["--method", "gradient"], "was begun with methods ['gradient', 'gradcam'], not ['gradient']: resume with the"),
        (["--target", "tabby"], "was begun with target predicted, not tabby"),
        (["--weights", "null"], "was begun with model squeezenet1_1, not squeezenet1_1 (random weights)"),
        ([], "was begun with photos 3 photos ("),
    ]:
        code, _, error = run("saliency", photos if other else photos / "one.jpg", *options, "--resume", *other)
        assert code == 1
        assert message in error
    assert table.read_bytes() == before
    code, _, error = run("saliency", photos, "--resume")
    assert (code, error) == (1, "error: --resume needs the folder to go on in: --out DIR\n")


def test_boxes_without_opencv_are_refused_in_a_line(
    run: Run, photos: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    code, _, error = run("saliency", photos, "--model", "squeezenet1_1", "--weights", weights, "--box")
    assert (code, error) == (1, "error: masks and boxes need OpenCV: pip install '.[box]'\n")
    assert not (tmp_path / "logs").exists()


def test_help_names_all_methods(run: Run) -> None:
    from brushwork.saliency.methods import METHODS

    code, out, _ = run("saliency", "--help")
    assert code == 0
    assert {line.split()[0] for line in out.splitlines() if line.startswith("  ")} >= set(METHODS)


def test_bad_photos_are_named_the_others_are_done(run: Run, photos: Path, weights: Path, tmp_path: Path) -> None:
    (photos / "broken.jpg").write_bytes((photos / "one.jpg").read_bytes()[:500])
    code, out, error = run("saliency", photos, "--model", "squeezenet1_1", "--weights", weights)
    assert code == 1
    assert error.startswith("error: ")
    assert "broken.jpg: cannot be decoded" in error
    assert "1 of 4 photos have no map" in out
    (folder,) = (tmp_path / "logs/saliency").iterdir()
    assert len(list(folder.glob("*.png"))) == len(list(folder.glob("*.npy"))) == 3


def test_somebody_elses_weights(run: Run, photos: Path, tmp_path: Path) -> None:
    """Another number of classes, a data-parallel network in a dictionary of another name, numpy beside it."""
    from torchvision import models

    state = {f"module.{key}": value for key, value in models.squeezenet1_1(num_classes=3).state_dict().items()}
    torch.save({"net": state, "accuracy": np.float64(61.2)}, tmp_path / "theirs.pth.tar")
    (tmp_path / "classes.txt").write_text("Baroque 0\nCubism 2\nAbstract Art 1\n")
    command = ["saliency", photos / "one.jpg", "--model", "squeezenet1_1", "--weights", "theirs.pth.tar", "--overwrite"]
    code, out, error = run(*command, "--out", "maps", "--classes", "classes.txt", "--target", "abstract art")
    assert (code, error) == (0, "")
    note = "theirs.pth.tar: took net; dropped module. of 52 keys; its last layer, classifier.1, has 3 classes"
    assert note in out.splitlines()
    (row,) = csv_files.read(tmp_path / "maps/maps.csv")
    assert row["target"] == "Abstract Art"
    code, out, _ = run(*command, "--out", "maps", "--target", "2")
    assert code == 0
    assert "squeezenet1_1: its 3 classes have numbers for names: --classes FILE names them" in out
    (tmp_path / "classes.txt").write_text("Baroque\nCubism\n")
    code, _, error = run(*command, "--out", "other", "--classes", "classes.txt")
    assert code == 1
    assert error.startswith("error: classes.txt names 2 classes, but the network has 3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.jpg"], "error: there is no file or folder {folder}/gone.jpg"),
        (["photos", "--model", "vgg_16"], "error: unknown --model 'vgg_16': did you mean 'vgg16'? valid: alexnet, "),
        (["photos", "--model", "gone.ckpt"], "error: there is no checkpoint {folder}/gone.ckpt"),
        (["photos", "--weights", "gone.pth"], "error: unknown weights 'gone.pth'"),
        (
            ["photos", "--model", "squeezenet1_1", "--weights", "null", "--out", "photos/one.jpg"],
            "jpg is a file: choose",
        ),
        (["photos", "--model", "photos/one.jpg", "--weights", "null"], "is a checkpoint and has its own weights"),
        (["photos", "--model", "squeezenet1.1"], "unknown --model 'squeezenet1.1': did you mean 'squeezenet1_1'?"),
        (
            ["photos", "--model", "squeezenet1_1", "--weights", "null", "--target", "flamigno"],
            "did you mean 'flamingo'",
        ),
        (["photos", "--model", "squeezenet1_1", "--weights", "null", "--target", "1000"], "class 1000 is out of range"),
        (
            ["photos", "--model", "squeezenet1_1", "--weights", "null", "--method", "gradkam"],
            "unknown saliency method 'gradkam': did you mean 'gradcam'?",
        ),
        (
            ["photos", "--model", "mobilenet_v3_small", "--weights", "null", "--method", "guided_backprop"],
            "guided_backprop is defined for ReLUs, and MobileNetV3 has Hardswish",
        ),
        (
            ["photos", "--model", "squeezenet1_1", "--weights", "null", "--device", "tpu"],
            "--device tpu is not available",
        ),
    ],
)
def test_a_mistake_is_one_line(run: Run, photos: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, _, error = run("saliency", *arguments)
    assert code == 1
    assert message.format(folder=tmp_path) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "logs").exists()


def test_what_in_this_painting_says_dots(run: Run, checkpoint: Path, paintings: Path, tmp_path: Path) -> None:
    """Maps of a checkpoint of ours, preprocessed as it was in training."""
    code, out, error = run("saliency", paintings / "Dots", "--model", checkpoint, "--target", "dots", "--out", "maps")
    assert (code, error) == (0, "")
    assert np.load(next((tmp_path / "maps").glob("*.npy"))).shape == (64, 64)
    assert {row["target"] for row in csv_files.read(tmp_path / "maps/maps.csv")} == {"Dots"}
    assert "10 maps of best.ckpt" in out


def test_evaluation_of_the_maps(run: Run, checkpoint: Path, paintings: Path, tmp_path: Path) -> None:
    """Of a checkpoint of ours: the class is the folder's name, boxes come from a table, one outline from a text."""
    folder = tmp_path / "Dots"
    shutil.copytree(paintings / "Dots", folder)
    for path in sorted(folder.iterdir())[2:]:
        path.unlink()
    one, two = sorted(folder.iterdir())
    one.with_suffix(".txt").write_text("0 0 0 0.5 0 0.5 1 0 1\n")  # the left half
    (tmp_path / "truth.csv").write_text(f"photo,class,left,top,right,bottom\n{two.name},Waves,0,0,9,9\n")
    command = [
        "saliency",
        folder,
        "--model",
        checkpoint,
        "--method",
        "gradient,input_x_gradient",
        "--out",
        "maps",
        "--resume",
    ]
    command += ["--evaluate", "--gallery", "--truth", "truth.csv"]
    code, out, error = run(*command)
    assert (code, error) == (0, "")
    maps = tmp_path / "maps"
    rows = csv_files.read(maps / "maps.csv")
    assert [row["method"] for row in rows] == ["gradient", "input_x_gradient", "random", "centre"] * 2
    assert [row["true"] for row in rows[::4]] == ["Dots", "Waves"]
    for row in rows:
        assert 0 <= float(row["deletion"]) <= 1
        assert 0 <= float(row["insertion"]) <= 1
        assert bool(row["map"]) == bool(row["class_contrast"]) == ("gradient" in row["method"])
        assert 0 < float(row["energy"]) < 1
    share = float(rows[0]["object_share"])
    assert share == pytest.approx(0.5, abs=0.04)  # an outline's own pixels are the object's, too
    saliency = np.load(maps / rows[0]["map"])
    assert float(rows[0]["energy"]) == pytest.approx(saliency[:, : round(64 * share)].sum() / saliency.sum(), abs=1e-5)

    checked = csv_files.read(maps / "sanity.csv")
    assert {row["rank_correlation"] for row in checked if row["step"] == "0"} == {"1.000"}
    assert checked[2]["layers"].startswith("classifier.")
    assert "features.0" in checked[-1]["layers"]
    assert Image.open(maps / "sanity.png").width > 600
    assert "deletion, photo by photo compared with a " in out
    assert "# Evaluation of the saliency maps" in (maps / "evaluation.md").read_text()
    assert "evaluation/text_summary" in EventAccumulator(str(maps)).Reload().Tags()["tensors"]

    page = (maps / "gallery.html").read_text()
    assert page.count("data:image/webp") == 2 * (1 + 2 * 2) + 1  # photo, map and overlay of each method; the curve
    right = sum(row["true"] == row["predicted"] for row in rows[::4])
    assert f"{right} of 2" in page
    assert page.count('<section class="photo right">') == right
    assert not re.search(r'(src|href)="(?!data:)', page)
    kept = [*maps.glob("*.npy"), maps / "sanity.csv"]
    before = [path.stat().st_mtime_ns for path in kept]
    assert run(*command)[0] == 0  # nothing left to do but the page
    assert [path.stat().st_mtime_ns for path in kept] == before

    other = "Waves" if rows[0]["predicted"] != "Waves" else "Dots"
    command = ["saliency", one, "--model", checkpoint, "--out", "maps", "--overwrite", "--target", other, "--evaluate"]
    code, out, error = run(*command)  # of another class, of one photo: nothing is left of the earlier results
    assert (code, error) == (0, "")
    assert {row["method"] for row in csv_files.read(maps / "sanity.csv")} == {"gradient"}
    assert "(one draw, 1 photo;" in " ".join(out.split())
    assert "(unknown)" in out  # there is no other photo
    assert not (maps / "gallery.html").exists()
    assert "gallery.html" not in out
    assert run(*command[:-1], "--gallery")[0] == 0
    page = (maps / "gallery.html").read_text()
    assert re.search(f"maps of the score of\\s+“{other}”, by gradient\\.", page)
    assert "How trustworthy are the maps?" not in page

    one.write_bytes(one.read_bytes()[:100])
    code, out, error = run(*command, "--gallery")
    assert code == 1
    assert "1 of 1 photos have no map" in out
    assert "results: maps (NAME.png, NAME.npy, maps.csv); look at it" in out


def test_the_reports_figures(run: Run, both_heads: Path, photos: Path, weights: Path, tmp_path: Path) -> None:
    options = ["--photos", photos, "--model", "squeezenet1_1", "--weights", weights, "--out", "figures"]
    code, out, error = run("figures", both_heads, *options)
    assert (code, error) == (0, "")
    assert "2 runs of replace_last and replace_two" in out
    assert "differ" not in out
    drawn = {path.name: Image.open(path).size for path in (tmp_path / "figures").iterdir()}
    assert set(drawn) == {
        "figure-1-paintings.png",
        "figure-2-architecture.png",
        "figure-3-4-classifiers.png",
        "figure-5-validation-accuracy.png",
        "figure-6-training-loss.png",
        "figure-7-both.png",
        "where-it-looks.png",
        "part-b-saliency.png",
    }
    assert drawn["figure-7-both.png"][0] > 1.5 * drawn["figure-5-validation-accuracy.png"][0]
    assert drawn["part-b-saliency.png"][1] > 3 * 336  # three photos
    code, _, error = run("figures", photos)
    assert code == 1
    assert f"error: no finished run in {photos}: train first" in error
