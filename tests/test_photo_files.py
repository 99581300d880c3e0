"""Photos among files and folders."""

import io
import sys
from pathlib import Path

import pytest

from brushwork import photo_files
from brushwork.errors import UserError
from brushwork.paintings import demo


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        demo.paint("Dots", number, 40).save(tmp_path / f"{number}.png")
    return tmp_path


def test_found_by_file_and_folder(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "below").mkdir()
    (folder / "link.jpg").symlink_to("nowhere.jpg")
    for name in ("below/z.JPEG", "._x.jpg", "below/.hidden.png", "Thumbs.db", "notes.txt"):
        (folder / name).write_bytes(b"")
    found = photo_files.find([folder / "3.png", folder])
    assert [path.name for path in found] == ["3.png", "0.png", "1.png", "2.png", "3.png", "4.png", "5.png", "z.JPEG"]
    assert "ignored files that are no images: 1 .txt" in caplog.text
    assert f"1 broken links are left out: {folder}/link.jpg" in caplog.text
    with pytest.raises(UserError, match=f"there is no file or folder {folder}/gone"):
        photo_files.find([folder / "gone"])
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty has no photo"):
        photo_files.find([folder / "empty"])


def test_found_by_glob_and_list(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "below").mkdir()
    for name in ("below/z.png", "below/.hidden.png", "notes.txt", "a[1].png"):
        (folder / name).write_bytes((folder / "0.png").read_bytes())

    def names(*inputs: str) -> list[str]:
        return [photo.name for photo in photo_files.found([Path(given) for given in inputs])]

    monkeypatch.chdir(folder)
    assert names("[0-1].png", "a[1].png") == ["0.png", "1.png", "a[1].png"]
    assert names("**/*") == [*(f"{number}.png" for number in range(6)), "a[1].png", "below/z.png"]
    assert "ignored files that are no images: 1 .txt" in caplog.text
    assert names("b*") == ["z.png"]
    assert names("below", f"{folder}/below") == ["below/z.png", f"{folder}/below/z.png"]  # not twice z.png
    with pytest.raises(UserError, match=r"no photo matches x\*\.png"):
        names("x*.png")
    for content, expected in [
        (b"0.png\r\nbelow\n\ngone\xff.png", ["0.png", "z.png", "gone\udcff.png"]),
        (b"1.png\0new\nline.png\0", ["1.png", "new\nline.png"]),
    ]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert names("-") == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    with pytest.raises(UserError, match="the list on standard input is empty"):
        names("-")


def test_results_below_a_folder_are_no_photos(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "maps").mkdir()
    (folder / "maps/0.png").write_bytes((folder / "0.png").read_bytes())
    monkeypatch.chdir(folder)
    for given in (folder, "**/*.png", "."):
        assert len(photo_files.find([Path(given)], Path("maps"))) == 6
    for given in ("maps", "maps/0.png"):  # unless they are asked for
        assert len(photo_files.find([Path(given)], Path("maps"))) == 1
    assert len(photo_files.find([folder], folder)) == 7
