"""Pictures in a grid."""

import numpy as np
from PIL import Image

from brushwork import contact_sheet, fonts
from brushwork.contact_sheet import Cell


def test_each_picture_stands_in_its_place_with_its_proportions() -> None:
    wide, tall = Image.new("RGB", (200, 100), "red"), Image.new("RGB", (50, 100), "blue")
    page = np.asarray(contact_sheet.sheet([[Cell(wide), Cell(tall)], [Cell(None), Cell(wide)]], side=100))
    assert page.shape == (2 * 112, 2 * 112, 3)
    red = (page == (255, 0, 0)).all(2)
    blue = (page == (0, 0, 255)).all(2)
    assert red[:112, :112].sum() == 100 * 50
    assert blue[:112, 112:].sum() == 50 * 100
    assert not red[112:, :112].any()
    assert red[112:, 112:].sum() == 100 * 50


def test_captions_are_written_under_their_picture_and_shortened() -> None:
    letters = fonts.for_line("", 12)
    assert contact_sheet.shortened("Baroque", letters, 100) == "Baroque"
    short = contact_sheet.shortened("A very long title of a painting", letters, 100)
    assert short.endswith("…")
    assert letters.getlength(short) <= 100
    plain = contact_sheet.sheet([[Cell(Image.new("RGB", (80, 80)), "")]], side=80)
    captioned = contact_sheet.sheet([[Cell(Image.new("RGB", (80, 80)), "one\ntwo")]], side=80)
    assert captioned.height == plain.height + 2 * 16
    assert (np.asarray(captioned)[plain.height :] < 128).any()


def test_letters_of_artists_names() -> None:
    """A glyph of its own for each, not the box that stands for a missing one."""
    letters = fonts.for_line("", 20)
    missing = bytes(letters.getmask("\ufffe"))
    for letter in "éüñøčŁжΩ":
        assert bytes(letters.getmask(letter)) != missing, letter


def test_pick_takes_the_groups_in_turn() -> None:
    groups = ["a"] * 50 + ["b"] * 50 + ["c"] * 2
    picked = contact_sheet.pick(groups, 8, seed=1)
    assert [groups[i] for i in picked].count("c") == 2
    assert sorted(groups[i] for i in picked) == ["a"] * 3 + ["b"] * 3 + ["c"] * 2
    assert picked == contact_sheet.pick(groups, 8, seed=1)
    assert picked != contact_sheet.pick(groups, 8, seed=2)
    assert sorted(contact_sheet.pick(groups, 999, seed=1)) == list(range(102))
