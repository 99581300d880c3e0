"""What is known of files, and when they are opened again."""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from brushwork.paintings import catalogue, demo
from brushwork.paintings.checks import duplicates, facts
from brushwork.paintings.checks.facts import Facts


@pytest.fixture
def root(paintings: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(paintings, tmp_path / "root"))


def read(root: Path, **options: float) -> list[Facts]:
    return facts.read(root, catalogue.scan(root).paintings, **options)


def spoil(path: Path, seconds_later: int = 0) -> None:
    """Put nonsense of the same size into a file, whose time tells it or not."""
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + seconds_later * 10**9))


def test_facts_of_a_file(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("L", (60, 40)).save(tmp_path / "a.jpg", exif=exif)
    assert facts.inspect(tmp_path / "a.jpg") == Facts(width=40, height=60, mode="L", format="JPEG", turned=True)
    (tmp_path / "a.jpg").write_text("<html>")
    assert facts.inspect(tmp_path / "a.jpg").reason.startswith(f"{tmp_path}/a.jpg: not an image")


@pytest.mark.parametrize("style", ["Facets", "Waves", "Color_Grid"])
def test_a_print_outlives_what_copies_go_through(tmp_path: Path, style: str) -> None:
    picture = demo.paint(style, 1, 256)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture.save(tmp_path / "0.png")
    picture.save(tmp_path / "1.jpg", quality=50)
    picture.resize((128, 128)).save(tmp_path / "2.jpg", quality=80)
    picture.rotate(90).save(tmp_path / "3.jpg", exif=exif)
    ImageOps.mirror(picture).save(tmp_path / "4.webp")
    Image.fromarray((np.asarray(picture) * 0.8).astype(np.uint8)).save(tmp_path / "5.tif")
    demo.paint(style, 2, 256).save(tmp_path / "6.jpg")
    known = [facts.inspect(path) for path in sorted(tmp_path.iterdir())]
    assert duplicates.connected(duplicates.near_pairs(known), len(known)) == [[0, 1, 2, 3, 4, 5]]


def test_known_files_are_not_opened_again(root: Path) -> None:
    first = read(root)
    spoil(root / "Dots/artist-dots-0_00.jpg")
    assert read(root) == first
    spoil(root / "Dots/artist-dots-0_00.jpg", seconds_later=1)
    second = read(root)
    assert "not an image" in second[0].reason
    assert second[1:] == first[1:]


def test_files_that_cannot_be_read_are_tried_again(root: Path) -> None:
    path = root / "Dots/artist-dots-0_00.jpg"
    good, time = path.read_bytes(), path.stat().st_mtime_ns
    spoil(path)
    assert read(root)[0].reason
    path.write_bytes(good)
    os.utime(path, ns=(time, time))  # the same name, size and time
    assert not read(root)[0].reason


def test_the_limit_holds_for_known_files_too(root: Path) -> None:
    assert not any(fact.reason for fact in read(root))
    assert all("over the limit of 0.001" in fact.reason for fact in read(root, max_megapixels=0.001))
    assert not any(fact.reason for fact in read(root))


def test_part_of_the_paintings_leaves_what_is_known_of_the_others(root: Path) -> None:
    first = read(root)
    (root / "Waves/new_one.png").write_bytes((root / "Waves/artist-waves-0_00.jpg").read_bytes())
    facts.read(root, catalogue.scan(root, ["Waves"]).paintings)
    spoil(root / "Dots/artist-dots-0_00.jpg")
    assert read(root)[:20] == first[:20]


def test_an_interrupted_reading_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inspect = facts.inspect

    def interrupted(path: Path, max_megapixels: float) -> Facts:
        if path.name == "artist-waves-0_00.jpg":
            raise KeyboardInterrupt
        return inspect(path, max_megapixels)

    monkeypatch.setattr(facts, "inspect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(root)
    monkeypatch.undo()
    spoil(root / "Dots/artist-dots-0_00.jpg")
    assert not read(root)[0].reason


@pytest.mark.parametrize("content", ["", "path,bytes\nx,1\n", "\x00", "path,bytes,mtime_ns\nx,y,z\n"])
def test_a_broken_memory_is_made_anew(root: Path, content: str) -> None:
    first = read(root)
    facts.cache_path(root).write_text(content)
    assert read(root) == first
    spoil(root / "Dots/artist-dots-0_00.jpg")
    assert read(root) == first


def test_where_nothing_can_be_written_a_warning_says_so(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    monkeypatch.setenv("BRUSHWORK_CACHE", str(tmp_path / "cache"))
    caplog.set_level(logging.WARNING)
    assert len(read(root)) == 30
    assert "can't be written" in caplog.text


def test_names_that_are_not_text_are_known_again(root: Path) -> None:
    name = os.fsdecode(b"Dots/jos\xe9_x.jpg")
    (root / "Dots/artist-dots-0_00.jpg").rename(root / name)
    first = read(root)
    spoil(root / name)
    assert read(root) == first
