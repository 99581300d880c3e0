"""Rows on disk: made once, whole or not at all, shared by processes (FAULTS 28, 31)."""

import logging
import multiprocessing
import os
import resource
import signal
import time
from pathlib import Path

import pytest
import torch

from brushwork import files, row_store
from brushwork.errors import UserError
from brushwork.row_store import RowStore

KEYS = [(f"painting {i}", i) for i in range(40)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRUSHWORK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(row_store, "_CHUNK_BYTES", 8 * 24)  # rows of 24 bytes, 8 a chunk


def store() -> RowStore:
    return RowStore("numbers", {"of": "tests"}, (3,), torch.float64)


def row(i: int) -> list[float]:
    return [i, i / 3, -i]


class Maker:
    """Makes rows and counts them; raises `error` when it is to make row `at`."""

    def __init__(self, at: int | None = None, error: BaseException | None = None) -> None:
        self.made: list[int] = []
        self.at, self.error = at, error

    def __call__(self, chosen: list[int]) -> torch.Tensor:
        if self.at in chosen:
            raise self.error
        self.made += chosen
        return torch.tensor([row(i) for i in chosen], dtype=torch.float64)


def content(rows: row_store.Rows, count: int) -> list[list[float]]:
    return rows[torch.arange(count)].tolist()


def expected(count: int) -> list[list[float]]:
    return torch.tensor([row(i) for i in range(count)], dtype=torch.float64).tolist()


def test_rows_are_made_once_and_come_in_the_order_of_the_keys() -> None:
    make = Maker()
    assert content(store().open(KEYS[:20], make, "numbers"), 20) == expected(20)
    assert sorted(make.made) == list(range(20))
    again = Maker()
    backwards = store().open(KEYS[:20][::-1], again, "numbers")
    assert again.made == []
    assert content(backwards, 20) == expected(20)[::-1]


def test_new_keys_are_added_to_what_is_there() -> None:
    first = store().open(KEYS[:10], Maker(), "numbers")
    more = Maker()
    assert content(store().open(KEYS[:30], more, "numbers"), 30) == expected(30)
    assert more.made == list(range(10, 30))
    assert content(first, 10) == expected(10)  # what was opened before is as it was


def test_a_changed_painting_is_another_row() -> None:
    store().open(KEYS[:5], Maker(), "numbers")
    changed = [*KEYS[:4], ("painting 4", 99)]
    rows = store().open(changed, lambda chosen: torch.full((len(chosen), 3), 7.0, dtype=torch.float64), "numbers")
    assert content(rows, 5) == [*expected(4), [7, 7, 7]]


def test_other_settings_are_another_store() -> None:
    store().open(KEYS[:5], Maker(), "numbers")
    make = Maker()
    RowStore("numbers", {"of": "others"}, (3,), torch.float64).open(KEYS[:5], make, "numbers")
    assert len(make.made) == 5
    assert len(row_store.listed()) == 2


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float32])
def test_types_come_back_as_they_were(dtype: torch.dtype) -> None:
    values = torch.arange(24).view(4, 2, 3).to(dtype)
    rows = RowStore("typed", {}, (2, 3), dtype).open(KEYS[:4], lambda chosen: values[chosen], "typed")
    found = rows[torch.tensor([2, 0])]
    assert found.dtype == dtype
    assert torch.equal(found, values[[2, 0]])


def test_rows_in_a_devices_memory() -> None:
    store().open(KEYS[:9], Maker(), "numbers")
    rows = store().open(KEYS[5:9], Maker(), "numbers").to(torch.device("cpu"))
    assert rows.values.tolist() == expected(9)[5:]
    assert rows[torch.tensor([3])].tolist() == [expected(9)[8]]


@pytest.mark.parametrize("leftover", [b"", b"half"])
def test_an_interrupted_filling_goes_on(leftover: bytes) -> None:
    with pytest.raises(SystemExit):
        store().open(KEYS, Maker(20, SystemExit(143)), "numbers")
    for name in (row_store.ROWS, row_store.KEYS):  # as a kill in the middle of a write leaves them
        with open(store().folder / name, "ab") as file:
            file.write(leftover)
    rest = Maker()
    assert content(store().open(KEYS, rest, "numbers"), 40) == expected(40)
    assert rest.made == list(range(16, 40))  # two chunks of eight were whole


def test_lines_without_rows_do_not_count() -> None:
    """As after a power cut: the rows' file is shorter than its lines say."""
    store().open(KEYS[:10], Maker(), "numbers")
    os.truncate(store().folder / row_store.ROWS, 7 * 24 + 5)
    rest = Maker()
    assert content(store().open(KEYS[:10], rest, "numbers"), 10) == expected(10)
    assert rest.made == [7, 8, 9]


@pytest.mark.parametrize("before", [0, 10])
def test_full_disk_while_writing(caplog: pytest.LogCaptureFixture, before: int) -> None:
    """No file may grow over 500 bytes: 20 rows."""
    if before:
        store().open(KEYS[:before], Maker(), "numbers")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
        assert store().open(KEYS, Maker(), "numbers") is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "numbers can't be kept in" in caplog.text
    if before:  # the last good rows stay, and are used: a chunk of eight was whole
        known = Maker()
        assert content(store().open(KEYS[:18], known, "numbers"), 18) == expected(18)
        assert known.made == []
    else:
        assert not (store().folder / row_store.ROWS).exists()
    assert content(store().open(KEYS, Maker(), "numbers"), 40) == expected(40)


def test_too_little_room_is_known_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(row_store, "_SPARE_BYTES", 2**60)
    make = Maker()
    assert store().open(KEYS, make, "numbers") is None
    assert make.made == []
    assert "40 to compute, 0 MB, kept in" in caplog.text
    assert "set BRUSHWORK_CACHE to a folder on another disk" in caplog.text


def test_a_cache_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("a file")
    assert store().open(KEYS, Maker(), "numbers") is None
    assert "numbers can't be kept in" in caplog.text


def test_an_error_of_the_maker_is_passed_on() -> None:
    with pytest.raises(UserError, match="bad painting"):
        store().open(KEYS, Maker(5, UserError("bad painting")), "numbers")


def _fill(log: Path) -> None:
    def make(chosen: list[int]) -> torch.Tensor:
        time.sleep(0.02)
        with open(log, "a") as file:
            file.writelines(f"{i}\n" for i in chosen)
        return torch.tensor([row(i) for i in chosen], dtype=torch.float64)

    assert content(store().open(KEYS, make, "numbers"), 40) == expected(40)


def test_processes_share_the_work_of_one(tmp_path: Path) -> None:
    processes = [multiprocessing.get_context("fork").Process(target=_fill, args=[tmp_path / "log"]) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert sorted(map(int, (tmp_path / "log").read_text().split())) == list(range(40))


@pytest.mark.parametrize("damage", [b"\0" * 30 + b"\n", b"[1, \n"])
def test_a_damaged_line_ends_what_is_known(damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    store().open(KEYS[:10], Maker(), "numbers")
    path = store().folder / row_store.KEYS
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:6], damage, *lines[7:]]))
    rest = Maker()
    assert content(store().open(KEYS[:10], rest, "numbers"), 10) == expected(10)
    assert rest.made == [6, 7, 8, 9]
    assert "keys.jsonl is damaged" in caplog.text


def test_rows_are_mapped_and_take_no_memory() -> None:
    rows = store().open(KEYS, Maker(), "numbers")
    path = str(store().folder / row_store.ROWS)  # there may be mappings of other tests' stores
    (mapping,) = [line for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(path)]
    assert mapping.split()[1].startswith("r--")  # a private one that can be written to would count as memory
    start, end = (int(address, 16) for address in mapping.split()[0].split("-"))
    assert start <= rows.values.data_ptr() < end


def test_a_store_that_may_only_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user's: a full one is used."""

    def refuse(*arguments: object) -> None:
        raise PermissionError("not yours")

    store().open(KEYS[:10], Maker(), "numbers")
    monkeypatch.setattr(os, "utime", refuse)
    assert content(store().open(KEYS[:10], Maker(), "numbers"), 10) == expected(10)


def test_a_damaged_store_is_listed_and_cleared() -> None:
    store().open(KEYS[:10], Maker(), "numbers")
    (store().folder / row_store.ABOUT).write_bytes(b"")
    (listed,) = row_store.listed()
    assert listed.about == {}
    row_store.clear(listed.folder)
    assert row_store.listed() == []


def test_list_and_clear() -> None:
    store().open(KEYS[:10], Maker(), "numbers")
    (listed,) = row_store.listed()
    assert (listed.rows, listed.about["kind"]) == (10, "numbers")
    assert listed.bytes >= 120
    with files.lock(listed.folder / row_store.LOCK, "held"), pytest.raises(UserError, match="is being written"):
        row_store.clear(listed.folder)
    row_store.clear(listed.folder)
    assert row_store.listed() == []
    assert content(store().open(KEYS[:10], Maker(), "numbers"), 10) == expected(10)
