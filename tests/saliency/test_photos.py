"""Many photos: found, named, read, explained."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from brushwork import photo_files
from brushwork.errors import UserError
from brushwork.models.modes import freeze
from brushwork.models.predictor import Predictor
from brushwork.paintings import demo
from brushwork.saliency import methods, photos
from brushwork.saliency.display import sheet
from brushwork.saliency.maps import class_saliency
from brushwork.saliency.photos import Photo
from tests.saliency.test_maps import small


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    def transform(picture: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.array(picture.resize((16, 16)))).permute(2, 0, 1).float() / 255

    network = freeze(small())
    return Predictor("small", network, list("abcde"), transform, (0, 0, 0), (1, 1, 1), network)


def explained(predictor: Predictor, paths: list[Path], target: int | None = None, batch_size: int = 4) -> list:
    return list(photos.explain(predictor, paths, target, batch_size=batch_size))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        demo.paint("Dots", number, 40).save(tmp_path / f"{number}.png")
    return tmp_path


def test_each_photo_gets_its_own_map_whatever_the_batches(folder: Path, predictor: Predictor) -> None:
    paths = photo_files.find([folder])
    for batch_size in (1, 4, 100):
        answers = explained(predictor, paths, None, batch_size)
        assert [answer.number for answer in answers] == list(range(6))
        for answer, path in zip(answers, paths, strict=True):
            image = predictor.transform(Image.open(path))[None]
            logits = predictor.network(image)
            assert answer.target == logits.argmax(1).item()
            assert answer.probabilities == pytest.approx(logits.softmax(1)[0].numpy(), abs=1e-6)
            assert answer.maps["gradient"] == pytest.approx(
                class_saliency(predictor.network, image, logits.argmax(1))[0].numpy()
            )
            assert answer.top(2) == logits[0].topk(2).indices.tolist()


def test_of_a_class_of_interest(folder: Path, predictor: Predictor) -> None:
    paths = photo_files.find([folder])
    for answer in explained(predictor, paths, 3):
        assert answer.target == 3
        image = predictor.transform(Image.open(paths[answer.number]))[None]
        assert answer.maps["gradient"] == pytest.approx(
            class_saliency(predictor.network, image, torch.tensor([3]))[0].numpy()
        )


def test_by_several_methods(folder: Path, predictor: Predictor) -> None:
    paths, names = photo_files.find([folder]), ["integrated_gradients", "gradient", "occlusion"]
    options = {"batch_size": 4, "methods": names}
    for answer in photos.explain(predictor, paths, None, **options):
        image = predictor.transform(Image.open(paths[answer.number]))[None]
        assert list(answer.maps) == names
        for name in names:
            logits, expected, exact = methods.logits_and_maps([name], predictor.network, image)
            assert answer.target == logits.argmax(1).item()
            expected = expected[name][0].numpy()
            assert answer.maps[name] == pytest.approx(expected, rel=1e-3, abs=1e-3 * float(expected.max()))
            if exact is not None:
                assert answer.completeness == pytest.approx(tuple(values.item() for values in exact), abs=1e-3)
        baselines = {name: {"deletion": 0.5} for name in ("random", "centre")}
        scores = {"gradient": {"pointing": 1.0, "deletion": 0.25}} | baselines
        photo = dataclasses.replace(answer, scores=scores)
        rows = sheet.cells(photo, predictor.class_names, 1)
        assert [row[1].caption.split()[0] for row in rows] == names
        assert [row[0].picture is None for row in rows] == [False, True, True]
        assert ["completeness error" in row[1].caption for row in rows] == [True, False, False]
        assert [row[2].caption for row in rows] == [
            "over the photo",
            "over the photo\n✓ maximum on the object\n✓ deletion 0.250\n    random 0.500, centre 0.500",
            "over the photo",
        ]
        notes = sheet.notes(photo)
        assert notes[1] == "gradient: ✓ maximum on the object, ✓ deletion 0.250"
        assert notes[0].startswith("integrated_gradients: completeness error ")
        assert len(notes) == 2


def test_bad_files_are_named_and_the_others_go_on(folder: Path, predictor: Predictor) -> None:
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:200])
    (folder / "4.png").write_text("<html>")
    answers = explained(predictor, photo_files.find([folder]))
    assert [isinstance(answer, Photo) for answer in answers] == [True, False, True, True, False, True]
    assert "1.png: cannot be decoded" in str(answers[1])
    assert "4.png: not an image" in str(answers[4])
    assert [answer.number for answer in answers if isinstance(answer, Photo)] == [0, 2, 3, 5]


def test_nothing_but_bad_files(tmp_path: Path, predictor: Predictor) -> None:
    (tmp_path / "a.png").write_text("<html>")
    (answer,) = explained(predictor, [tmp_path / "a.png"])
    assert isinstance(answer, UserError)


def test_a_map_that_is_no_number_is_an_error(folder: Path) -> None:
    broken = small()
    torch.nn.init.constant_(broken[-1].weight, torch.nan)
    predictor = Predictor(
        "broken", freeze(broken), list("abcde"), lambda picture: torch.rand(3, 16, 16), (), (), broken
    )
    (answer,) = explained(predictor, [folder / "0.png"])
    assert str(answer).startswith(f"{folder}/0.png: its map is not finite")


def test_turned_as_the_camera_was_held(tmp_path: Path, predictor: Predictor) -> None:
    """EXIF orientation 6: the same map as of the picture that is upright by itself (FAULTS 6)."""
    upright = demo.paint("Facets", 0, 40)
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    one, other = explained(predictor, [tmp_path / "upright.png", tmp_path / "turned.png"])
    assert np.array_equal(one.maps["gradient"], other.maps["gradient"])
