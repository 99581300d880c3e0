"""Objects and classes of photos: read, drawn, and seen as the network sees them."""

import csv
import logging
from pathlib import Path

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from PIL import Image
from torch import nn
from torchvision import models

from brushwork import images
from brushwork.errors import UserError
from brushwork.models import predictor
from brushwork.models.predictor import Predictor
from brushwork.preprocessing import Preprocessing, as_batch
from brushwork.saliency.evaluation import annotations
from brushwork.saliency.evaluation.annotations import Annotation, class_by_name

IMAGENET = models.SqueezeNet1_1_Weights.IMAGENET1K_V1.meta["categories"]
BOXES = "photo,left,top,right,bottom\n"
STYLES = ["Art_Nouveau", "Baroque", "Cubism"]


@pytest.fixture(scope="module")
def squeezenet() -> Predictor:
    return predictor.imagenet("squeezenet1_1", None)


def ours(how: str) -> Predictor:
    """Whose pictures are 64 pixels a side."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    preprocessing = Preprocessing(64, mean, std, how)
    return Predictor(
        "ours", nn.Identity(), STYLES, lambda one: as_batch([one], preprocessing)[0], mean, std, nn.Identity()
    )


def photo(folder: Path, name: str = "photo.jpg", size: tuple[int, int] = (80, 40)) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


# Masks


def test_outlines_of_real_photos_against_another_rasterisation(shared: Path, squeezenet: Predictor) -> None:
    """Of each pixel of the network's view, the point in the photo it comes from: inside an outline or not?"""
    photos = sorted((shared / "data/photos/coco_masks").glob("*.jpg"))
    truths = annotations.read(photos, squeezenet)
    overlaps = []
    for path, truth in zip(photos, truths, strict=True):
        width, height = images.load_rgb(path).size
        found = annotations.mask(truth, (width, height), squeezenet)
        scaled = [int(256 * side / min(width, height)) for side in (width, height)]
        left, top = (round((side - 224) / 2) for side in scaled)
        rows, columns = np.mgrid[top : top + 224, left : left + 224] + 0.5
        points = np.stack([columns / scaled[0], rows / scaled[1]], -1).reshape(-1, 2)
        inside = np.zeros(224 * 224, bool)
        for line in path.with_suffix(".txt").read_text().splitlines():
            outline = np.array(line.split()[1:], float).reshape(-1, 2)
            inside |= Outline([*outline, outline[0]], closed=True).contains_points(points)
        expected = inside.reshape(224, 224)
        overlaps.append((found & expected).sum() / (found | expected).sum())
    assert len(overlaps) > 20
    assert np.median(overlaps) > 0.98
    assert min(overlaps) > 0.92  # of thin objects: Pillow draws the edge's pixels too


@pytest.mark.parametrize("how", ["squash", "crop", "pad"])
def test_a_box_as_the_network_sees_it(how: str) -> None:
    """Of a photo of 80 x 40, seen in 64 x 64; what is padded is no object."""
    truth = Annotation(Path("photo.jpg"), boxes=[(20, 0, 40, 20)])
    found = annotations.mask(truth, (80, 40), ours(how))
    expected = {"squash": (16, 0, 32, 32), "crop": (0, 0, 32, 32), "pad": (16, 16, 32, 32)}[how]
    assert annotations.box(found) == pytest.approx(expected, abs=1)
    left, top, right, bottom = expected
    assert found.sum() == pytest.approx((right - left) * (bottom - top), rel=0.07)


def test_an_outline_and_its_box_are_one(squeezenet: Predictor) -> None:
    box = Annotation(Path(), boxes=[(60, 90, 180, 240)])
    outline = Annotation(Path(), polygons=[[(0.2, 0.3), (0.6, 0.3), (0.6, 0.8), (0.2, 0.8)]])
    first, second = (annotations.mask(truth, (300, 300), squeezenet) for truth in (box, outline))
    assert (first & second).sum() / (first | second).sum() > 0.97


def test_what_the_network_cannot_see_is_no_mask(squeezenet: Predictor) -> None:
    cropped = Annotation(Path(), boxes=[(0, 0, 50, 100)])
    assert annotations.mask(cropped, (300, 100), squeezenet) is None
    assert annotations.mask(Annotation(Path()), (300, 100), squeezenet) is None
    with pytest.raises(UserError, match=r"^a.jpg: its box 0 0 301 9 reaches beyond its 300 x 100 pixels; give boxes"):
        annotations.mask(Annotation(Path("a.jpg"), boxes=[(0, 0, 301, 9)]), (300, 100), squeezenet)


def test_outlines_are_of_the_upright_photo(tmp_path: Path) -> None:
    """Stored on its side, and EXIF turns it. The object is a white patch at the upright photo's left."""
    upright = Image.new("RGB", (640, 320))
    upright.paste((255, 255, 255), (0, 80, 160, 240))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    (tmp_path / "turned.txt").write_text("0 0 0.25 0.25 0.25 0.25 0.75 0 0.75\n")
    picture = images.load_rgb(tmp_path / "turned.png")
    (truth,) = annotations.read([tmp_path / "turned.png"], ours("squash"))
    found = annotations.mask(truth, picture.size, ours("squash"))
    assert np.array_equal(found, np.asarray(images.resize(picture, 64))[..., 0] > 127)


def test_the_box_of_the_largest_piece() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:4, 2:4] = True
    mask[10:13, 5:9] = True
    mask[13, 9] = True  # touches at a corner
    assert annotations.box(mask) == (5, 10, 10, 14)


# Classes


def test_all_names_of_imagenets_own_files(shared: Path) -> None:
    with open(shared / "data/photos/PROVENANCE.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith("imagenet_sample")]
    assert len(rows) == 45
    for row in rows:
        assert class_by_name(Path(row["file"]), IMAGENET) == int(row["imagenet_index"]), row["file"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("doberman.jpg", "Doberman"),
        ("Golden_Retriever.png", "golden retriever"),
        ("teddybear.jpg", None),
        ("flamingo1.jpg", None),
        ("7.jpg", None),
        ("n02012849_crane.JPEG", None),  # the bird, which torchvision calls crane bird
        ("n03126707_crane.JPEG", None),
        ("maillot.jpg", None),
        ("crane_bird.jpg", "crane bird"),
        ("cardigan.jpg", None),  # a dog or a garment
        ("n02113186_Cardigan.JPEG", "Cardigan"),
        ("n02963159_cardigan.JPEG", "cardigan"),
        ("goldfish/1.jpg", "goldfish"),
        ("goldfish/tench.jpg", "tench"),
    ],
)
def test_a_class_by_name(name: str, expected: str | None) -> None:
    found = class_by_name(Path(name), IMAGENET)
    assert found == (None if expected is None else IMAGENET.index(expected))


def test_a_style_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert class_by_name(Path("wikiart/Art_Nouveau/alphonse-mucha_moon.jpg"), STYLES) == 0
    assert class_by_name(Path("wikiart/crane.jpg"), ["crane", "heron"]) == 0
    (tmp_path / "baroque").mkdir()
    monkeypatch.chdir(tmp_path / "baroque")
    assert class_by_name(Path("rembrandt_watch.jpg"), STYLES) == 1


# Tables


def test_a_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = photo(tmp_path, "a/cat.jpg"), photo(tmp_path, "a/Baroque/dog.jpg")
    third, fourth = photo(tmp_path, "b/cat.jpg"), photo(tmp_path, "b/cow.jpg")
    for path in (second, third, fourth):
        path.with_suffix(".txt").write_text("3 0 0 0.5 0 0.5 0.5\n\n4 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2\n")
    table = tmp_path / "truth.csv"
    table.write_text(
        "\ufeffphoto,left,top,right,bottom,class,note\n"
        "a/cat.jpg,1,2,3,4,cubism,two boxes\n"
        "a/cat.jpg,5.0,6,7,8,,\n"
        f"{third.resolve()},1,2,9,9,0,\n"
        "dog.jpg,,,,,,no box: its outlines and its folder\n"
        "horse.jpg,1,2,3,4,,\n"
        "sheep.jpg,1,2,3,4,Pop Art,\n",
        encoding="utf-8",
    )
    with caplog.at_level(logging.WARNING):
        with pytest.raises(UserError, match=r"truth.csv line 7: unknown class of ours 'Pop Art'"):
            annotations.read([first], ours("crop"), table)
        table.write_text(table.read_text(encoding="utf-8").replace("Pop Art", ""), encoding="utf-8")
        truths = annotations.read([first, second, third, fourth, first], ours("crop"), table)
    assert [truth.target for truth in truths] == [2, 1, 0, None, 2]
    boxes = [(1, 2, 3, 4), (5, 6, 7, 8)]
    assert [truth.boxes for truth in truths] == [boxes, [], [(1, 2, 9, 9)], [], boxes]
    assert [len(truth.polygons) for truth in truths] == [0, 2, 0, 2, 0]
    assert truths[1].polygons[0] == [(0, 0), (0.5, 0), (0.5, 0.5)]
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning == f"{table}: ignored 2 rows of other photos"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,class\n", "line 1: expected the columns photo, and class or .* or both, but got file, class"),
        ("", "line 1: expected the columns photo, .* but got nothing"),
        ("photo,left,top\n", "line 1: expected the columns photo"),
        ("photo\n", "line 1: expected the columns photo"),
        ("photo,class\n\ncat.jpg,Rococo\n", r"line 3: unknown class of ours 'Rococo'"),
        ("photo,class\ncat.jpg,3\n", "line 2: class 3 is out of range"),
        ("photo,class\ncat.jpg,0\ncat.jpg,Cubism\n", "line 3: cat.jpg is Art_Nouveau in an earlier line"),
        ("photo,class\nboth.jpg,0\n", "line 2: both.jpg is the name of 2 photos; give its path"),
        (BOXES + "cat.jpg,9,1,2,3\n", "line 2: the box 9 1 2 3 is empty or begins before 0"),
        (BOXES + "cat.jpg,1,5,2,5\n", "line 2: the box 1 5 2 5 is empty"),
        (BOXES + "cat.jpg,-1,1,2,3\n", "line 2: the box -1 1 2 3 is empty or begins before 0"),
        (BOXES + "cat.jpg,1,1,x,3\n", "line 2: expected left top right bottom in pixels, but got 1 1 x 3"),
        (BOXES + "cat.jpg,1,1,nan,3\n", "line 2: expected left top right bottom in pixels"),
        (BOXES + "cat.jpg,1,1\n", "line 2: expected left top right bottom in pixels, but got 1 1 - -"),
        ("photo,class\ncat.jpg,Caf\xe9\n", "is not UTF-8 text"),
    ],
)
def test_a_table_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    photos = [photo(tmp_path, name) for name in ("cat.jpg", "1/both.jpg", "2/both.jpg")]
    table = tmp_path / "truth.csv"
    table.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=rf"^{table}:? {message}"):
        annotations.read(photos, ours("crop"), table)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"there is no file {tmp_path}/truth.csv: name a CSV with the columns photo"):
        annotations.read([], ours("crop"), tmp_path / "truth.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a cat on a mat", "line 1: expected an outline, class x y x y ..., but got 'a cat on a mat'"),
        (
            "0 0 0 1 0 1 1\n0 0.5 0.5 0.1 0.1\n",
            "line 2: expected .* three points or more, but got 4 numbers",
        ),
        ("0 0 0 1 0 1 1 1", "line 1: .* but got 7 numbers after the class"),
        ("0 0 0 1.5 0 1 1", "line 1: 1.5 is not from 0 to 1; give shares"),
        ("0 0 0 nan 0 1 1", "line 1: nan is not from 0 to 1"),
    ],
)
def test_a_text_that_is_no_outline(tmp_path: Path, text: str, message: str) -> None:
    path = photo(tmp_path)
    path.with_suffix(".txt").write_text(text)
    with pytest.raises(UserError, match=f"^{path.with_suffix('.txt')} {message}"):
        annotations.read([path], ours("crop"))
