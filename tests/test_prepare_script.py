"""scripts/prepare_wikiart.py, as a user starts it."""

import csv
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import huggingface_hub
import pytest
from PIL import Image

from brushwork.paintings import catalogue, listing
from tests.conftest import REPOSITORY, Run
from tests.paintings.wikiart.test_fetch import Server, assert_whole, jpeg
from tests.paintings.wikiart.test_sources import ARTIFICIO, write_shards

SCRIPT = REPOSITORY / "scripts/prepare_wikiart.py"
NAME = "prepare_wikiart"


@pytest.fixture
def parquet(tmp_path: Path) -> list[Path]:
    """Two shards of Artificio's schema: 24 paintings of two of the report's styles, one of them no picture."""
    rows = [
        {
            "title": f"Study {number}",
            "artist": f"Painter {number % 5}",
            "genre": "landscape",
            "style": ["Art Nouveau (Modern)", "Baroque"][number % 2],
            "image": {"bytes": b"<html>" if number == 8 else jpeg(600 + number, 400), "path": None},
        }
        for number in range(24)
    ]
    return write_shards(tmp_path, ARTIFICIO, rows, count=2, group=4)


def test_shards_on_disk(run: Run, parquet: list[Path], tmp_path: Path) -> None:
    """The default command, its shards read from disk: what a training finds in data/wikiart."""
    options = ["--parquet", *parquet, "--styles", "art nouveau", "Baroque", "Surrealism", "--per-style", "10"]
    code, out, error = run(NAME, *options)
    assert (code, error) == (1, "")
    assert "Artificio/WikiArt has no Surrealism; --substitute Surrealism=STYLE" in out
    assert "20 paintings of 2 styles from Artificio/WikiArt; 0 exist already" in out
    assert "the others need about 0.00 GB in data/wikiart (free: " in out
    assert "fetched 19, skipped 0, failed 1 (not an image: 1)" in out
    assert "data/wikiart/failed.csv has the reasons; the same command tries them again" in out
    assert out.splitlines()[-1] == "results: data/wikiart (19 paintings of 2 styles, catalogue.csv)"
    assert_whole(tmp_path / "data/wikiart", 19)
    assert {max(map(int, (row["width"], row["height"]))) for row in listing.read(Path("data/wikiart")).values()} == {
        512
    }
    found = catalogue.scan(Path("data/wikiart"))
    assert found.class_names == ["Art_Nouveau_Modern", "Baroque"]
    assert {painting.artist for painting in found.paintings} == {f"painter-{n}" for n in range(5)}

    code, out, _ = run(NAME, *options)
    assert code == 1
    assert "fetched 0, skipped 19 (existing), failed 1 (not an image: 1)" in out


def test_two_runs_give_what_one_gives(run: Run, parquet: list[Path], tmp_path: Path) -> None:
    options = ["--parquet", *parquet, "--styles", "Baroque"]
    run(NAME, *options, "--per-style", "5", "--out", "twice")
    assert run(NAME, *options, "--per-style", "11", "--out", "twice")[0] == 0
    assert run(NAME, *options, "--per-style", "11", "--out", "once")[0] == 0
    once, twice = (Path(name, "catalogue.csv").read_text() for name in ("once", "twice"))
    assert once == twice
    code, _, error = run(NAME, *options, "--per-style", "11", "--out", "twice", "--size", "64")
    assert code == 1
    assert "twice was prepared with longest_side 512, not 64: name another folder with --out" in error


def test_a_folder(run: Run, paintings: Path) -> None:
    code, out, error = run(NAME, "--source", "folder", "--root", paintings, "--styles", "all", "--original")
    assert (code, error) == (0, "")
    assert "fetched 30, skipped 0, failed 0" in out
    for path in paintings.glob("*/*.jpg"):
        assert (Path("data/wikiart") / path.relative_to(paintings)).read_bytes() == path.read_bytes()


def test_like_another_data_set(run: Run, paintings: Path, tmp_path: Path) -> None:
    """The same files from its catalogue alone; what is gone, or another picture by now, is listed."""
    root = Path(shutil.copytree(paintings, tmp_path / "root"))
    options = ["--source", "folder", "--root", "root", "--styles", "all", "--per-style", "4", "--size", "32"]
    run(NAME, *options, "--out", "theirs")
    shutil.copyfile("theirs/catalogue.csv", "handed_on.csv")
    code, out, error = run(NAME, "--like", "handed_on.csv", "--root", "root", "--out", "ours")
    assert (code, error) == (0, "")
    for path in [Path("catalogue.csv"), *(path.relative_to("theirs") for path in Path("theirs").glob("*/*.jpg"))]:
        assert Path("ours", path).read_bytes() == Path("theirs", path).read_bytes()

    changed, gone = (Path(row["source"]) for row in list(listing.read(Path("theirs")).values())[:2])
    Image.new("RGB", (99, 50)).save(root / changed)
    (root / gone).unlink()
    code, out, _ = run(NAME, "--like", "handed_on.csv", "--root", "root", "--out", "later")
    assert code == 1
    assert "fetched 10, skipped 0, failed 2" in out
    with open("later/failed.csv", newline="") as file:
        reasons = {row["source"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons == {str(changed): "another picture than the listed one", str(gone): "no longer in the source"}

    # Other bytes of the same size: perhaps the encoder, perhaps not.
    kept = Path(listing.read(Path("later")).popitem()[1]["source"])
    Image.open(root / kept).rotate(180).save(root / kept)
    code, out, _ = run(NAME, "--like", "handed_on.csv", "--root", "root", "--out", "turned")
    assert "1 files have the listed size but other bytes" in out
    assert str(kept) in Path("turned/differing.csv").read_text()
    rows = list(listing.read(Path("theirs")).values())
    for name, change in [("outside", {"path": "../x_y.jpg"}), ("sizeless", {"width": "", "height": ""})]:
        listing.write(tmp_path, [rows[0] | change, *rows[1:]])
        (tmp_path / "catalogue.csv").rename(f"{name}.csv")
    for options, message in [
        (["--like", "theirs/catalogue.csv", "--root", "root", "--out", "theirs"], "is in --out theirs"),
        (["--like", "handed_on.csv"], "add --root PATH"),
        (["--like", "handed_on.csv", "--source", "huggan"], "is of --source folder, not of huggan"),
        (["--like", "handed_on.csv", "--size", "64", "--root", "root"], "--size does not go with --like"),
        (["--like", "sizeless.csv", "--root", "root"], "has the size '' by ''"),
        (["--like", "outside.csv", "--root", "root"], "has the path '../x_y.jpg', expected one inside of the folder"),
        (["--like", "nowhere.csv"], "there is no file"),
        (["--like", "root/Dots"], "there is no file"),
    ]:
        code, _, error = run(NAME, *options)
        assert (code, error.count("\n")) == (1, 1)
        assert message in error


@pytest.fixture
def site() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def write_urls(path: Path, server: Server, ways: list[str]) -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "page_url", "image_url", "label", "_split"])
        for number, way in enumerate(ways):
            part = "test" if number % 5 == 0 else "train"
            writer.writerow([f"painter_study-{number}", "", server.url(f"{way}/{number}.jpg"), number % 10, part])
    return path


def test_a_catalogue_of_urls(run: Run, site: Server, tmp_path: Path) -> None:
    urls = write_urls(tmp_path / "urls.csv", site, [*["fine"] * 20, "404", "page"])
    code, out, _ = run(NAME, "--source", "catalogue", "--csv", urls, "--out", "got")
    assert code == 1
    assert "fetched 20, skipped 0, failed 2 (" in out
    rows = listing.read(Path("got"))
    assert {path for path, row in rows.items() if row["part"] == "val"} == {
        *("Art_Nouveau_Modern/painter_study-0.jpg", "Post_Impressionism/painter_study-5.jpg"),
        *("Art_Nouveau_Modern/painter_study-10.jpg", "Post_Impressionism/painter_study-15.jpg"),
    }
    assert_whole(Path("got"), 20)
    run(NAME, "--like", "got/catalogue.csv", "--out", "again")
    assert listing.read(Path("again")) == rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "folder"], "--source folder needs the download's folder of style folders: add --root PATH"),
        (["--source", "catalogue"], "--source catalogue needs a CSV of URLs: add --csv FILE"),
        (["--csv", "x.csv"], "--csv goes with --source catalogue, not with artificio"),
        (["--source", "folder", "--root", "x", "--parquet", "y"], "--parquet goes with --source artificio or huggan"),
        (["--source", "catalogue", "--csv", "x", "--per-style", "3"], "the report's protocol fixes the rows"),
        (["--source", "folder", "--root", "x", "--out", "x/y"], "--out x/y is inside --root x: name another folder"),
        (["--source", "folder", "--root", "gone"], "there is no folder {folder}/gone"),
        (["--parquet", "gone.parquet"], "there is no file {folder}/gone.parquet"),
        (["--seed", "-1"], "--seed -1 is negative"),
    ],
)
def test_a_mistake_is_one_line(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, _, error = run(NAME, *arguments)
    assert code == 1
    assert message.format(folder=tmp_path) in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_too_little_room(run: Run, paintings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 100, 0))
    code, _, error = run(NAME, "--source", "folder", "--root", paintings, "--styles", "all")
    assert code == 1
    assert "data/wikiart has 0.00 GB free, about 0.00 GB are needed: free some space, name another --out" in error
    assert not list(Path("data/wikiart").glob("*/*"))


def test_a_folder_that_cannot_be_written(run: Run, paintings: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    options = ["--source", "folder", "--root", paintings, "--styles", "all"]
    code, _, error = run(NAME, *options, "--out", "file")
    assert code == 1
    assert error.startswith(f"error: {tmp_path}/file: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_killed_in_the_middle(run: Run, site: Server, tmp_path: Path, number: signal.Signals) -> None:
    """Whatever ends it, the same command goes on, and the result is that of an unbroken run."""
    urls = write_urls(tmp_path / "urls.csv", site, ["fine"] * 100)

    command = ["--source", "catalogue", "--csv", urls, "--out"]
    process = subprocess.Popen([sys.executable, SCRIPT, *command, "broken"], stdout=subprocess.PIPE, text=True)
    while len(list((tmp_path / "broken").glob("*/*.jpg"))) < 20:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    said, _ = process.communicate(timeout=20)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert said.splitlines()[-1] == "interrupted: the same command resumes here"
    for path in (tmp_path / "broken").glob("*/*.jpg"):
        Image.open(path).load()
    for out in ("broken", "unbroken"):
        assert run(NAME, *command, out)[0] == 0
    assert_whole(tmp_path / "broken", 100)
    broken, unbroken = ((tmp_path / out / "catalogue.csv").read_text() for out in ("broken", "unbroken"))
    assert broken == unbroken


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of Hugging Face's hub as a streamed data set asks for, on loopback."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    commit = "0123456789abcdef0123456789abcdef01234567"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()).get("paths", [])
        self.reply([entry for folder in ("", "data") for entry in self.tree(folder) if entry["path"] in asked])

    def do_GET(self) -> None:
        path = urlparse(self.path).path
        name = path.rpartition(f"/resolve/{self.commit}/")[2] if "/resolve/" in path else ""
        if "/resolve/main/" in path:
            name = path.rpartition("/resolve/main/")[2]
        if name:
            if name in self.files:
                self.reply_file(self.files[name])
            else:
                self.reply({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        elif path.startswith("/api/datasets/Artificio/WikiArt/tree/"):
            self.reply(self.tree(path.partition(f"/tree/{self.commit}")[2].strip("/")))
        elif path.startswith("/api/datasets/Artificio/WikiArt"):
            siblings = [{"rfilename": name} for name in self.files]
            self.reply(
                {"id": "Artificio/WikiArt", "sha": self.commit, "siblings": siblings, "tags": [], "private": False}
            )
        else:
            self.reply({"error": "not here"}, 404)

    def tree(self, folder: str) -> list[dict]:
        listed = [
            {"type": "file", "path": name, "size": len(content), "oid": f"{number:040}"}
            for number, (name, content) in enumerate(self.files.items())
            if name.rpartition("/")[0] == folder
        ]
        return listed if folder else [*listed, {"type": "directory", "path": "data", "size": 0, "oid": "0" * 40}]

    def reply(self, value: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_all(status, json.dumps(value).encode(), {"Content-Type": "application/json"} | (headers or {}))

    def reply_file(self, content: bytes) -> None:
        start, end, status = 0, len(content), 200
        headers = {"ETag": '"0123"', "X-Repo-Commit": self.commit, "Accept-Ranges": "bytes"}
        if wanted := self.headers.get("Range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end, status = int(first), min(int(last) + 1 if last else end, end), 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        self.send_all(status, content[start:end], headers)

    def send_all(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


def test_streamed_from_a_hub(run: Run, parquet: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default command streams from a hub (here on loopback) what it reads from shards on disk."""
    card = {"dataset_info": {"features": json.loads(json.dumps(ARTIFICIO._to_yaml_list()))}}
    readme = f"---\n{json.dumps(card)}\n---\n# WikiArt\n"
    shards = {f"data/{path.name}": path.read_bytes() for path in parquet}
    handler = type("Hub", (Hub,), {"files": {"README.md": readme.encode(), **shards}})
    hub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{hub.server_port}"
    options = ["--styles", "Art_Nouveau", "Baroque", "--per-style", "10", "--out"]
    streamed = subprocess.run(  # the address is read when the hub's client is imported
        [sys.executable, SCRIPT, *options, "hub"],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf")},
        timeout=60,
    )
    _, local, _ = run(NAME, *options, "disk", "--parquet", *parquet)
    hub.shutdown()
    hub.server_close()
    assert "fetched 19, skipped 0, failed 1 (not an image: 1)" in streamed.stdout, streamed
    assert "fetched 19" in local
    from_hub, from_disk = ((tmp_path / out / "catalogue.csv").read_text() for out in ("hub", "disk"))
    assert from_hub == from_disk

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    code, _, error = run(NAME, *options, "gone")
    assert code == 1
    assert error.startswith(f"error: Artificio/WikiArt on {address} is not reachable")
    assert error.count("\n") == 1
