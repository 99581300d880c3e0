"""Many photos: found, named, read, asked."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from brushwork.errors import UserError
from brushwork.models.modes import freeze
from brushwork.models.predictor import Predictor
from brushwork.paintings import demo
from brushwork.saliency import methods, photos
from brushwork.saliency.maps import class_saliency
from brushwork.saliency.photos import Explained
from tests.saliency.test_maps import small


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    def transform(picture: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.array(picture.resize((16, 16)))).permute(2, 0, 1).float() / 255

    return Predictor("small", freeze(small()), list("abcde"), transform, (0, 0, 0), (1, 1, 1))


def ask(predictor: Predictor, paths: list[Path], target: int | None = None, batch_size: int = 4) -> list:
    return list(photos.explain(predictor, paths, target, batch_size=batch_size, device=torch.device("cpu")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        demo.paint("Dots", number, 40).save(tmp_path / f"{number}.png")
    return tmp_path


def test_found_by_file_and_folder(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "below").mkdir()
    for name in ("below/z.JPEG", "._x.jpg", "below/.hidden.png", "Thumbs.db", "notes.txt"):
        (folder / name).write_bytes(b"")
    found = photos.find([folder / "3.png", folder])
    assert [path.name for path in found] == ["3.png", "0.png", "1.png", "2.png", "3.png", "4.png", "5.png", "z.JPEG"]
    assert "ignored what is no image: 1 .txt" in caplog.text
    with pytest.raises(UserError, match=f"there is no file or folder {folder}/gone"):
        photos.find([folder / "gone"])
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no photo"):
        photos.find([folder / "empty"])


def test_each_photo_gets_its_own_map_whatever_the_batches(folder: Path, predictor: Predictor) -> None:
    paths = photos.find([folder])
    for batch_size in (1, 4, 100):
        answers = ask(predictor, paths, None, batch_size)
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
    paths = photos.find([folder])
    for answer in ask(predictor, paths, 3):
        assert answer.target == 3
        image = predictor.transform(Image.open(paths[answer.number]))[None]
        assert answer.maps["gradient"] == pytest.approx(
            class_saliency(predictor.network, image, torch.tensor([3]))[0].numpy()
        )


def test_by_several_methods(folder: Path, predictor: Predictor) -> None:
    paths, names = photos.find([folder]), ["integrated_gradients", "gradient", "occlusion"]
    options = {"batch_size": 4, "device": torch.device("cpu"), "methods": names}
    for answer in photos.explain(predictor, paths, None, **options):
        image = predictor.transform(Image.open(paths[answer.number]))[None]
        assert list(answer.maps) == names
        for name in names:
            logits, expected, exact = methods.logits_and_maps([name], predictor.network, image)
            assert answer.target == logits.argmax(1).item()
            expected = expected[name][0].numpy()
            assert answer.maps[name] == pytest.approx(expected, rel=1e-3, abs=1e-3 * float(expected.max()))
            if exact is not None:
                assert answer.completeness == pytest.approx((exact.error.item(), exact.rise.item()), abs=1e-3)
        verdicts = {"gradient": [("lies on it", ""), ("better", "than 0.1")]}
        photo = photos.Photo(0, paths[answer.number], "x", answer, verdicts=verdicts)
        rows = photos.cells(photo, predictor.class_names, 1)
        assert [row[1].caption.split()[0] for row in rows] == names
        assert [row[0].picture is None for row in rows] == [False, True, True]
        assert ["completeness error" in row[1].caption for row in rows] == [True, False, False]
        assert [row[2].caption for row in rows] == [
            "over the photo",
            "over the photo\nlies on it\nbetter\n    than 0.1",
            "over the photo",
        ]
        notes = photos.notes(photo)
        assert notes[1] == "gradient: lies on it, better"
        assert notes[0].startswith("integrated_gradients: completeness error ")
        assert len(notes) == 2


def test_bad_files_are_named_and_the_others_go_on(folder: Path, predictor: Predictor) -> None:
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:200])
    (folder / "4.png").write_text("<html>")
    answers = ask(predictor, photos.find([folder]))
    assert [isinstance(answer, Explained) for answer in answers] == [True, False, True, True, False, True]
    assert "1.png: cannot be decoded" in str(answers[1])
    assert "4.png: not an image" in str(answers[4])
    assert [answer.number for answer in answers if isinstance(answer, Explained)] == [0, 2, 3, 5]


def test_nothing_but_bad_files(tmp_path: Path, predictor: Predictor) -> None:
    (tmp_path / "a.png").write_text("<html>")
    (answer,) = ask(predictor, [tmp_path / "a.png"])
    assert isinstance(answer, UserError)


def test_a_map_that_is_no_number_is_an_error(folder: Path) -> None:
    broken = small()
    torch.nn.init.constant_(broken[-1].weight, torch.nan)
    predictor = Predictor("broken", freeze(broken), list("abcde"), lambda picture: torch.rand(3, 16, 16), (), ())
    (answer,) = ask(predictor, [folder / "0.png"])
    assert str(answer).startswith(f"{folder}/0.png: its map is not a finite number")


def test_turned_as_the_camera_was_held(tmp_path: Path, predictor: Predictor) -> None:
    """EXIF orientation 6: the same map as of the picture that is upright by itself (FAULTS 6)."""
    upright = demo.paint("Facets", 0, 40)
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    one, other = ask(predictor, [tmp_path / "upright.png", tmp_path / "turned.png"])
    assert np.array_equal(one.maps["gradient"], other.maps["gradient"])
