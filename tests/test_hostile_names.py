"""One data set whose files and styles have the worst names, through every command (FAULTS 10, 46, 47)."""

import dataclasses
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brushwork import csv_files, fonts, run_folder
from brushwork.paintings import demo
from brushwork.training import job as jobs
from tests.conftest import Run, once, small_job

STYLES = ["C$_$", "Pop $Art|<script>alert(1)<", "浮世絵 st\udce9yle"]
NAMES = [
    *(
        "caf\udce9_not utf8",
        "L" * 251,
        "é" * 125,
        "emoji_😀🎨",
        "rtl_\u05e9\u05dc\u05d5\u05dd_\u202e",
        "dollar$_$x^2$",
        "a__b_",
    ),
    *(
        "<script>alert(1)<",
        "new\nline",
        "cr\rreturn",
        "-leading dash",
        "trailing space ",
        "trailing dot.",
        "100%_%s_{x}",
    ),
    *(
        "back\\slash",
        "qu\"o'te",
        "com,ma;semi",
        "tab\there",
        "esc\x1b[31mred",
        "pipe|`tick`*",
        "日本_浮世絵",
        "a[b](c)",
        "=cmd()",
    ),
    "&amp;#hash",
]
BROKEN = f"{STYLES[0]}/bro\udce9ken$.jpg"


def write(root: Path) -> None:
    for number, name in enumerate(NAMES):
        folder = root / STYLES[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        demo.paint(("Dots", "Facets", "Waves")[number % 3], number, 40).save(folder / f"{name}.jpg", "JPEG")
    content = (root / STYLES[0] / f"{NAMES[0]}.jpg").read_bytes()
    (root / BROKEN).write_bytes(content[:-300])


def listed(root: Path) -> set[str]:
    """The paths of all intact files, relative to the root."""
    return {str(path.relative_to(root)) for path in root.rglob("*.jpg")} - {BROKEN}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "hostile$_$", write)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, hostile: Path) -> Path:
    """Two runs, the first with all pictures."""

    def train(folder: Path) -> None:
        for share, options in ((1.0, []), (0.5, ["callbacks.dashboard=null", "callbacks.saliency=null"])):
            chosen = [
                f"data.train_fraction={share}",
                "data.on_bad_image=skip",
                "data.batch_size=32",
                "trainer.max_epochs=1",
                *options,
            ]
            job = small_job(folder / f"share-{share}", Path("x"), *chosen)
            job.data.root = hostile  # beside Hydra's grammar, which test_overrides is about
            job.resolved["data"]["root"] = str(hostile)
            jobs.run_job(dataclasses.replace(job, command=[f"data.train_fraction={share}"]))

    return once(tmp_path_factory, "hostile-logs", train)


@pytest.fixture(autouse=True)
def no_warning_of_a_glyph() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")
        warnings.filterwarnings("error", message=".*constrained_layout not applied")
        yield


def as_text(path: Path) -> str:
    """A page: UTF-8 to its last byte, and no name in it is HTML."""
    text = path.read_text(encoding="utf-8", errors="strict")
    assert "<script>alert" not in text
    return text


def test_training(logs: Path, hostile: Path) -> None:
    folder = logs / "share-1.0"
    assert {row["path"] for row in csv_files.read(folder / run_folder.SPLIT)} == listed(hostile)
    assert [row["path"] for row in csv_files.read(folder / run_folder.SKIPPED)] == [BROKEN]
    held_out = {row["path"]: row["style"] for row in csv_files.read(folder / run_folder.PREDICTIONS)}
    assert held_out.keys() <= listed(hostile)
    assert set(held_out.values()) == set(STYLES)
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    assert {"paintings/by style", "answers/confusion matrix", "answers/worst mistakes", "saliency/panel"} <= {
        *events.Tags()["images"]
    }
    text = events.Tensors("run/2 what it is/text_summary")[0].tensor_proto.string_val[0].decode("utf-8")
    assert r"C$_$, Pop $Art\|\<script>alert(1)<, 浮世絵 st\xe9yle" in text


def test_saliency(run: Run, logs: Path, hostile: Path) -> None:
    model = logs / "share-1.0" / run_folder.BEST
    status, out, error = run(
        "saliency", hostile, "--model", model, "--gallery", "--out", "maps", "--batch-size", 32, "--target", STYLES[0]
    )
    assert status == 1  # of the broken one
    assert error.count("error:") == 1
    assert r"bro\xe9ken$.jpg: cannot be decoded" in error
    assert "1 of 25 photos have no map" in out
    rows = csv_files.read(Path("maps/maps.csv"))
    assert {row["photo"] for row in rows} == {str(hostile / path) for path in listed(hostile)}
    for row in rows:
        with Image.open(Path("maps", row["picture"])) as picture:
            assert picture.width == 3 * 348
        assert Path("maps", row["map"]).is_file()
    assert len({row["picture"] for row in rows}) == len(NAMES)
    page = as_text(Path("maps/gallery.html"))
    for shown in (r"caf\xe9_not utf8.jpg", "&lt;script&gt;alert(1)&lt;.jpg", "日本_浮世絵.jpg", "emoji_😀🎨.jpg"):
        assert shown in page
    tags = EventAccumulator("maps", size_guidance={"images": 0}).Reload().Tags()["images"]
    assert len(tags) == len(NAMES)
    assert r"saliency/caf\xe9_not utf8" in tags
    again = run("saliency", hostile, "--model", model, "--out", "maps", "--resume", "--target", STYLES[0])
    assert "24 of 25 photos have their maps already" in again[1]


def test_comparison_figures_and_answer(run: Run, logs: Path, hostile: Path) -> None:
    status, out, _ = run("compare", logs, "--out", "compared")
    assert status == 0
    assert "no maps" not in out
    assert r"st\xe9yle" in as_text(Path("compared/comparison.html"))
    as_text(Path("compared/comparison.md"))
    photos = [hostile / STYLES[1] / f"{NAMES[1]}.jpg", hostile / BROKEN, hostile / STYLES[0] / f"{NAMES[0]}.jpg"]
    status, out, _ = run(
        "figures", logs, "--out", "drawn", "--model", logs / "share-1.0" / run_folder.BEST, "--photos", *photos
    )
    assert status == 1  # of the broken one
    for number in ("1-paintings", "7-both"):
        assert Path(f"drawn/figure-{number}.png").is_file()
    with Image.open("drawn/part-b-saliency.png") as picture:
        assert picture.height > 2 * 336
    assert run("finetune_or_scratch", logs, "--out", "answer")[0] == 0


def test_check_and_prepare(run: Run, hostile: Path) -> None:
    status, out, _ = run("check_data", hostile, "--out", "checked")
    assert status == 1
    assert r"C$_$/bro\xe9ken$.jpg" in out
    assert "\x1b[31m" not in out
    as_text(Path("checked/report.html"))
    for _ in range(2):  # the second finds what the first has made
        options = ("--styles", "all", "--per-style", "all", "--original")
        status, out, _ = run("prepare_wikiart", "--source", "folder", "--root", hostile, "--out", "ready", *options)
        assert status == 1
        assert "failed 1" in out
    rows = csv_files.read(Path("ready/catalogue.csv"))
    assert len(rows) == len(NAMES)
    assert all(Path("ready", row["path"]).is_file() for row in rows)


def test_stores(run: Run, logs: Path) -> None:
    status, out, _ = run("stores")
    assert status == 0
    assert "hostile$_$" in out


def test_a_log_line_of_a_name_without_a_font(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once in a process, however many names."""
    monkeypatch.setattr(fonts, "_reported", set())
    monkeypatch.setattr(fonts.font_manager.fontManager, "ttflist", [])
    for text in ("浮世絵", "日本", "浮世絵", "Baroque"):
        assert fonts.for_line(text, 12).getlength(text) > 0
    assert len(caplog.messages) == 1
    assert "no installed font has" in caplog.text


def test_a_font_that_is_installed_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    """DejaVu Serif in the place of such a font."""
    lacking = frozenset(range(ord("a"), ord("z")))
    monkeypatch.setattr(fonts, "_reported", set())
    whole = fonts._characters
    monkeypatch.setattr(
        fonts, "_characters", lambda path: whole(path) - lacking if "DejaVuSans.ttf" in path else whole(path)
    )
    manager = fonts.font_manager.fontManager
    monkeypatch.setattr(manager, "ttflist", [entry for entry in manager.ttflist if entry.name == "DejaVu Serif"])
    assert [entry.name for entry in fonts.fallbacks("abc")] == ["DejaVu Serif"]
    assert Path(fonts.for_line("abc", 12).path).name.startswith("DejaVuSerif")


@pytest.mark.slow
def test_predict(run: Run, logs: Path, hostile: Path, tmp_path: Path) -> None:
    best = logs / "share-1.0" / run_folder.BEST
    options = ["--labels", hostile, "--explain", "gradient", "--similar", 1, "--embed", "parquet", "--out", "answers"]
    code, _, error = run("predict", best, hostile, *options)
    assert code == 1
    assert error.count("error: ") == error.count("\n") == 1
    out = tmp_path / "answers"
    rows = csv_files.read(out / "predictions.csv")
    assert {row["path"] for row in rows} == listed(hostile)
    assert all(row["true"] == row["path"].split("/")[0] for row in rows)
    assert {row["similar_1"] for row in rows} <= listed(hostile)
    assert [row["path"] for row in csv_files.read(out / "skipped.csv")] == [BROKEN]
    assert as_text(out / "predictions.html").count('<section class="answer">') == len(NAMES)
    assert len(list(out.glob("*.png"))) == len(NAMES) + 2  # and the confusion matrix, the mistakes
