"""Photos among files and folders."""

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
