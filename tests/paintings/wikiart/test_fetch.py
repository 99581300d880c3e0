"""Paintings stored whole or not at all, from servers that fail in every way (FAULTS 31, 32, 33)."""

import csv
import hashlib
import http.server
import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brushwork import files
from brushwork.errors import UserError
from brushwork.paintings import demo, listing
from brushwork.paintings.wikiart import download, fetch
from brushwork.paintings.wikiart.candidates import Candidate, Source

DOTS = demo.paint("Dots", 0)


def jpeg(width: int = 60, height: int = 40, **options: object) -> bytes:
    content = io.BytesIO()
    DOTS.resize((width, height)).save(content, "JPEG", **options)
    return content.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """A site of paintings whose paths say how it answers."""

    picture = jpeg()

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.times: list[float] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        server, way = self.server, self.path.strip("/").split("/")[0]
        with server.lock:
            server.asked[self.path] += 1
            asked = server.asked[self.path]
            server.agents.add(self.headers["User-Agent"])
            server.times.append(time.monotonic())
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            if way == "moved":
                self.answer(301, b"", Location=self.path.replace("moved", "fine"))
            elif way == "round":
                self.answer(301, b"", Location=self.path)
            elif way == "busy" and asked == 1:
                self.answer(429, b"later", **{"Retry-After": "1"})
            elif way == "flaky" and asked < 3:
                self.answer(500, b"")
            elif way == "cut" or (way == "cut-once" and asked == 1):
                self.answer(200, server.picture[:-100], **{"Content-Length": str(len(server.picture))})
                self.close_connection = True
            elif way == "short":
                self.answer(200, server.picture[:-300])
            elif way == "page":
                self.answer(200, b"<html>no such painting</html>")
            elif way == "empty":
                self.answer(200, b"")
            elif way == "silent":
                time.sleep(1)
            elif way.isdigit():
                self.answer(int(way), b"no")
            else:
                time.sleep(0.01)
                self.answer(200, server.picture)
        finally:
            with server.lock:
                server.at_once -= 1

    def answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The site; our patience with it is shorter than with a real one."""
    monkeypatch.setattr(download, "READ_TIMEOUT", 0.3)
    monkeypatch.setattr(download, "BACKOFF", 0.01)
    site = Server()
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield site
    site.shutdown()
    site.server_close()


def candidates(server: Server, *ways: str) -> list[Candidate]:
    urls = [server.url(f"{way}/{number}.jpg") for number, way in enumerate(ways)]
    return [Candidate(f"Baroque/a_{i}.jpg", "a", str(i), url, url, url, "val") for i, url in enumerate(urls)]


def site(wanted: list[Candidate]) -> Source:
    return Source("site", wanted, download.reader())


def store(
    source: Source,
    wanted: list[Candidate],
    out: Path,
    longest_side: int | None = 512,
    threads: int = 4,
    **settings: object,
) -> fetch.Counts:
    with fetch.prepared_folder(out, settings, wanted) as there:
        return fetch.fetch(source, wanted, out, there, longest_side, threads)


def reasons(out: Path) -> dict[str, str]:
    with open(out / fetch.FAILED, encoding="utf-8", newline="") as file:
        return {row["source"].split("/")[3]: row["reason"] for row in csv.DictReader(file)}


def assert_whole(out: Path, count: int) -> None:
    """Each picture decodes and is what its row says; there is nothing else."""
    rows = listing.read(out)
    assert len(rows) == count
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.suffix == ".jpg"} == set(rows)
    for path, row in rows.items():
        assert hashlib.sha256((out / path).read_bytes()).hexdigest() == row["sha256"]
        with Image.open(out / path) as image:
            image.load()
            assert (str(image.width), str(image.height)) == (row["width"], row["height"])
    assert not list(out.rglob("*.tmp"))


def test_what_can_pass_is_tried_again_the_rest_is_listed(server: Server, tmp_path: Path) -> None:
    good = ["fine", "moved", "busy", "flaky", "cut-once"]
    bad = ["403", "404", "410", "500", "cut", "short", "page", "empty", "silent", "round"]
    wanted = candidates(server, *good, *bad)
    start = time.monotonic()
    counts = store(site(wanted), wanted, tmp_path)
    assert time.monotonic() - start < 10
    assert (counts.fetched, counts.existing, counts.failed.total()) == (5, 0, 10)
    assert_whole(tmp_path, 5)
    assert [row["title"] for row in listing.read(tmp_path).values()] == ["0", "1", "2", "3", "4"]

    why = reasons(tmp_path)
    assert set(why) == set(bad)
    for way, reason in {
        "403": "HTTP 403 (Forbidden)",
        "404": "HTTP 404 (Not Found)",
        "500": "HTTP 500 (Internal Server Error)",
        "cut": "connection lost (",
        "short": "cannot be decoded (",
        "page": "not an image",
        "empty": "not an image (0 bytes)",
        "silent": "timed out (",
        "round": "too many redirects (",
    }.items():
        assert why[way].startswith(reason), way
    assert counts.failed["HTTP 404"] == 1
    assert counts.failed["not an image"] == 2
    assert "failed 10 (" in str(counts)

    tried = {path.split("/")[1]: count for path, count in server.asked.items()}
    assert tried["403"] == tried["404"] == tried["410"] == 1  # asking again would not help
    assert (tried["500"], tried["silent"], tried["cut"]) == (5, 3, 3)
    assert (tried["busy"], tried["flaky"], tried["cut-once"]) == (2, 3, 2)
    assert len(server.agents) == 1
    assert server.agents.pop().startswith("Brushwork/")


def test_retry_after_is_waited_for(server: Server, tmp_path: Path) -> None:
    wanted = candidates(server, "busy")
    store(site(wanted), wanted, tmp_path)
    first, second = server.times
    assert second - first >= 1


def test_few_connections(server: Server, tmp_path: Path) -> None:
    wanted = candidates(server, *["fine"] * 30)
    store(site(wanted), wanted, tmp_path, threads=3)
    assert server.most_at_once <= 3


def test_a_second_run_tries_what_failed_and_nothing_else(server: Server, tmp_path: Path) -> None:
    wanted = candidates(server, "fine", "404", "fine")
    assert store(site(wanted), wanted, tmp_path).failed == {"HTTP 404": 1}
    before = (tmp_path / "catalogue.csv").read_bytes()
    counts = store(site(wanted), wanted, tmp_path)
    assert (counts.fetched, counts.existing, counts.failed) == (0, 2, {"HTTP 404": 1})
    assert (tmp_path / "catalogue.csv").read_bytes() == before
    assert server.asked == {"/fine/0.jpg": 1, "/404/1.jpg": 2, "/fine/2.jpg": 1}

    healed = Source("site", wanted, lambda batch: ((candidate, Server.picture) for candidate in batch))
    assert str(store(healed, wanted, tmp_path)) == "fetched 1, skipped 2 (existing), failed 0"
    assert not (tmp_path / fetch.FAILED).exists()
    assert_whole(tmp_path, 3)


def test_damaged_and_vanished_files_are_fetched_again(server: Server, tmp_path: Path) -> None:
    wanted = candidates(server, "fine", "fine", "fine")
    store(site(wanted), wanted, tmp_path)
    (tmp_path / "Baroque/a_0.jpg").write_bytes(Server.picture[:200])
    (tmp_path / "Baroque/a_1.jpg").unlink()
    counts = store(site(wanted), wanted, tmp_path)
    assert (counts.fetched, counts.existing) == (2, 1)
    assert_whole(tmp_path, 3)


def test_a_source_that_turns_us_away_is_left_in_peace(server: Server, tmp_path: Path) -> None:
    wanted = candidates(server, "fine", *["403"] * 200)
    with pytest.raises(UserError, match=r"20 failures in a row, the last http://.*HTTP 403 .*another --source"):
        store(site(wanted), wanted, tmp_path, threads=1)
    assert sum(server.asked.values()) <= 23
    assert_whole(tmp_path, 1)
    assert set(reasons(tmp_path)) == {"403"}


def test_dead_links_do_not_end_a_second_run(server: Server, tmp_path: Path) -> None:
    """Any number of them: the site answers. What an interrupted run did not come to stays listed."""
    wanted = candidates(server, "fine", *["404"] * 50)
    for _ in range(2):
        assert store(site(wanted), wanted, tmp_path).failed == {"HTTP 404": 50}

    def stopped(batch: list[Candidate]) -> Iterator[tuple[Candidate, bytes | UserError]]:
        raise KeyboardInterrupt

    before = (tmp_path / fetch.FAILED).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        store(Source("site", wanted, stopped), wanted, tmp_path)
    assert (tmp_path / fetch.FAILED).read_bytes() == before


def test_a_source_that_gives_less_than_it_offers(tmp_path: Path) -> None:
    _, wanted = from_bytes(x=jpeg(), y=jpeg())
    assert store(Source("nothing", wanted, lambda batch: iter(())), wanted, tmp_path).failed.total() == 2


def test_no_server(tmp_path: Path) -> None:
    url = "http://127.0.0.1:1/x.jpg"
    wanted = [Candidate("Baroque/a_b.jpg", "a", "b", url, url, url)]
    assert store(site(wanted), wanted, tmp_path).failed == {"no connection": 1}


def from_bytes(**contents: bytes) -> tuple[Source, list[Candidate]]:
    wanted = [Candidate(f"Baroque/a_{name}.jpg", "a", name, f"memory:{name}", name, name) for name in contents]
    return Source(
        "memory", wanted, lambda batch: ((candidate, contents[candidate.place]) for candidate in batch)
    ), wanted


def test_pictures_are_made_smaller_upright_rgb_jpegs(tmp_path: Path) -> None:
    big = demo.paint("Facets", 0, 450).resize((1800, 900))
    content = io.BytesIO()
    big.convert("CMYK").save(content, "JPEG")
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    big.save(turned, "JPEG", exif=exif, quality=95)
    clear = io.BytesIO()
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(clear, "PNG")
    source, wanted = from_bytes(cmyk=content.getvalue(), turned=turned.getvalue(), clear=clear.getvalue())
    store(source, wanted, tmp_path)
    assert_whole(tmp_path, 3)
    stored = {path.stem: Image.open(path) for path in (tmp_path / "Baroque").iterdir()}
    assert {(image.mode, image.format) for image in stored.values()} == {("RGB", "JPEG")}
    assert stored["a_cmyk"].size == (512, 256)
    assert stored["a_turned"].size == (256, 512)
    assert stored["a_turned"].getexif().get(0x0112, 1) == 1
    assert stored["a_clear"].size == (64, 64)  # never larger
    assert np.asarray(stored["a_clear"]).min() > 250  # transparent: white
    # The decoder's own reduction does not show: against the whole picture, turned and made smaller at once.
    whole = big.rotate(-90, expand=True).resize((256, 512), Image.Resampling.LANCZOS)
    difference = np.abs(np.asarray(stored["a_turned"], int) - np.asarray(whole, int))
    assert difference.mean() < 4
    # Quality 92, by the tables of quantisation that Pillow writes for it.
    reference = io.BytesIO()
    Image.new("RGB", (8, 8)).save(reference, "JPEG", quality=92)
    assert stored["a_cmyk"].quantization == Image.open(reference).quantization


def test_original_keeps_the_bytes(tmp_path: Path) -> None:
    png = io.BytesIO()
    Image.new("RGB", (900, 30)).save(png, "PNG")
    contents = {"jpeg": jpeg(900, 600, quality=30), "png": png.getvalue(), "page": b"<html>"}
    source, wanted = from_bytes(**contents)
    counts = store(source, wanted, tmp_path, longest_side=None)
    assert counts.failed == {"not an image": 1}
    assert (tmp_path / "Baroque/a_jpeg.jpg").read_bytes() == contents["jpeg"]
    assert (tmp_path / "Baroque/a_png.png").read_bytes() == contents["png"]
    assert listing.read(tmp_path)["Baroque/a_png.png"]["width"] == "900"
    again = store(source, wanted, tmp_path, longest_side=None)
    assert (again.fetched, again.existing) == (0, 2)


def test_a_full_disk_ends_the_job_and_leaves_what_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, wanted = from_bytes(**{f"{i:02}": jpeg() for i in range(12)})
    replace, written = Path.replace, []

    def full(self: Path, target: Path) -> Path:
        if target.suffix == ".jpg":
            if len(written) == 5:
                raise OSError(28, "No space left on device")
            written.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        store(source, wanted, tmp_path, threads=1)
    monkeypatch.undo()
    assert_whole(tmp_path, 5)
    assert store(source, wanted, tmp_path).fetched == 7


def test_an_interrupt_keeps_what_is_whole(tmp_path: Path, server: Server) -> None:
    """Ctrl-C in the middle: the threads end, catalogue.csv has what was got, the next run the rest."""
    wanted = candidates(server, *["fine"] * 40)
    interrupted = site(wanted)

    def read(batch: list[Candidate]) -> Iterator[tuple[Candidate, bytes | UserError]]:
        if batch[0].title == "20":
            raise KeyboardInterrupt
        yield from interrupted.read(batch)

    with pytest.raises(KeyboardInterrupt):
        store(Source("site", wanted, read), wanted, tmp_path, threads=2)
    assert threading.active_count() < 10
    got = len(listing.read(tmp_path))
    assert 10 < got < 40
    counts = store(site(wanted), wanted, tmp_path)
    assert counts.fetched + got == 40
    assert_whole(tmp_path, 40)


def other_picture(out: Path) -> None:
    (out / "Realism").mkdir()
    (out / "Realism/mine.jpg").write_bytes(jpeg())


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (other_picture, {}, r"holds pictures of another origin \(Realism/mine\.jpg\): name another"),
        (lambda out: None, {"seed": 1}, "was prepared with seed 0, not 1: name another folder with --out"),
        (lambda out: (out / "catalogue.csv").unlink(), {}, "pictures of another origin"),
    ],
)
def test_other_peoples_folders_are_left_alone(
    tmp_path: Path, change: Callable[[Path], object], settings: dict, message: str
) -> None:
    source, wanted = from_bytes(x=jpeg())
    store(source, wanted, tmp_path, seed=0)
    change(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=message):
        store(source, wanted, tmp_path, **({"seed": 0} | settings))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_fewer_paintings_are_another_question(tmp_path: Path) -> None:
    source, wanted = from_bytes(x=jpeg(), y=jpeg())
    store(source, wanted, tmp_path)
    with pytest.raises(UserError, match=r"holds 1 paintings that are not chosen now \(first Baroque/a_y"):
        store(source, wanted[:1], tmp_path)


def test_a_folder_has_one_job_at_a_time(tmp_path: Path) -> None:
    source, wanted = from_bytes(x=jpeg())
    with files.lock(tmp_path / ".lock", "taken"), pytest.raises(UserError, match="another process writes to"):
        store(source, wanted, tmp_path)


def test_what_a_killed_job_left_is_no_stranger(tmp_path: Path) -> None:
    """A kill leaves an empty catalogue, whole files that it does not list, and half a temporary file."""
    source, wanted = from_bytes(x=jpeg(), y=jpeg())
    listing.write(tmp_path, [])
    (tmp_path / "Baroque").mkdir()
    (tmp_path / "Baroque/a_x.jpg").write_bytes(b"of an older run")
    (tmp_path / "Baroque/.a_y.jpg.0123abcd.tmp").write_bytes(jpeg()[:50])
    assert store(source, wanted, tmp_path).fetched == 2
    assert_whole(tmp_path, 2)


def test_disk_need(tmp_path: Path, shared: Path) -> None:
    """What is stated beforehand is near to what 60 real paintings take, at a side that they all have."""
    found = sorted((shared / "data/wikiart-7x400").glob("*/*.jpg"))[::47]
    wanted = [Candidate(f"Baroque/a_{i}.jpg", "a", "", str(path), path, i) for i, path in enumerate(found)]
    source = Source("folder", wanted, lambda batch: ((candidate, candidate.place.read_bytes()) for candidate in batch))
    store(source, wanted, tmp_path, longest_side=200)
    taken = sum(path.stat().st_size for path in (tmp_path / "Baroque").iterdir())
    assert fetch.bytes_needed(wanted, 200) == pytest.approx(taken, rel=0.2)
    assert fetch.bytes_needed(wanted, None) == sum(path.stat().st_size for path in found)
