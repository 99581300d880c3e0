"""The page in headless Chromium: a picture is given, the answer is the network's, and nothing leaves this computer."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from brushwork.app import answers, page
from brushwork.app.state import State
from brushwork.errors import UserError
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 60_000  # ms


@pytest.fixture(scope="module")
def address(state: State) -> Iterator[str]:
    pytest.importorskip("gradio", reason="Gradio is an extra: pip install '.[app]'")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED", "NO_PROXY", "no_proxy"):
            patch.setenv(name, "")  # as they were, afterwards
        with page.served(state) as found:
            yield found


@pytest.fixture(scope="module")
def browser() -> Iterator:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make install")
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, address: str) -> Iterator[Callable]:
    """Opens the page at a width; afterwards every request must have gone to it, and no script may have failed."""
    hosts, problems, contexts = set(), [], []

    def visit(width: int = 1200, scheme: str = "light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        tab = contexts[-1].new_page()
        tab.set_default_timeout(PATIENCE)
        tab.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        tab.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.goto(address)
        tab.wait_for_selector("#painting input[type=file]", state="attached")
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert hosts - {""} == {urlsplit(address).netloc}  # "": data and blobs
    assert problems == []


def give(tab, path: Path) -> None:
    tab.locator("#painting input[type=file]").set_input_files(str(path))


def shown(tab) -> dict[str, str]:
    """The percentages on the page by style."""
    tab.wait_for_selector("#answer .bars")
    rows = tab.locator("#answer .bars > div").all()
    return {row.locator("dt").inner_text(): row.locator(".value").inner_text() for row in rows}


def expected(state: State, path: Path) -> dict[str, str]:
    found = answers.answer(state, path)
    return {state.style(number): f"{100 * share:.0f} %" for number, share in found.probabilities}


def map_shown(tab) -> str:
    tab.wait_for_selector("#evidence .pair figure:nth-child(2) img")
    return tab.locator("#evidence img").nth(1).get_attribute("src")


def next_map(tab, before: str) -> str:
    script = "src => { const one = document.querySelectorAll('#evidence img')[1]; return one && one.src !== src }"
    tab.wait_for_function(script, arg=before)
    return map_shown(tab)


def test_a_picture_its_method_and_its_class(visit: Callable, state: State, root: Path) -> None:
    picture = next((root / "Waves").iterdir())
    tab = visit()
    assert tab.locator("h1").inner_text() == "Which style is this painting?"
    assert "This is a demo." in tab.locator(".note").first.inner_text()
    give(tab, picture)
    assert shown(tab) == expected(state, picture)
    first = map_shown(tab)
    tab.locator("#method input").click()
    tab.get_by_role("option", name="Pixels (gradient)").click()
    second = next_map(tab, first)
    number = (answers.answer(state, picture).predicted + 1) % 3
    tab.locator("#style input").click()
    tab.get_by_role("option", name=state.style(number)).click()
    assert next_map(tab, second) not in (first, second)
    assert f"the score of {state.style(number)} is" in tab.locator("#evidence").inner_text()
    assert tab.locator("#similar img").count() == answers.SIMILAR
    assert shown(tab) == expected(state, picture)  # the answer stays


def test_examples(visit: Callable, state: State) -> None:
    tab = visit()
    for number in (3, 0):
        tab.locator("#examples button").nth(number).click()
        said = expected(state, state.examples[number].path)
        tab.wait_for_function(
            "value => document.querySelector('#answer .first .value')?.innerText === value", arg=max(said.values())
        )
        assert shown(tab) == said


def test_errors_are_sentences_and_the_next_picture_is_answered(visit: Callable, state: State, root: Path) -> None:
    picture = next((root / "Dots").iterdir())
    folder = root.parent / "odd"
    folder.mkdir()
    (folder / "text <img src=x onerror=alert(1)>.jpg").write_text("no picture")
    (folder / "empty.png").write_bytes(b"")
    Image.new("1", (10_000, 9_500)).save(folder / "huge.png")
    tab = visit()
    for path in sorted(folder.iterdir()):
        give(tab, path)
        tab.wait_for_selector(f"#answer .error:has-text('{path.name[:4]}')")
        said = tab.locator("#answer .error").inner_text()
        assert "can't be used: " in said and "Please " in said and "/" not in said
        assert not tab.locator("#evidence-part").is_visible()
    for name in ("turned.jpg", "many.tiff", "ink.jpg"):  # EXIF, no format of browsers, CMYK
        exif = Image.Exif()
        exif[274] = 6
        mode = "CMYK" if name == "ink.jpg" else "RGB"
        Image.open(picture).resize((60, 40)).convert(mode).save(folder / name, exif=exif)
        give(tab, folder / name)
        assert shown(tab) == expected(state, folder / name)
        map_shown(tab)
        tab.get_by_label("Remove Image").click()
        tab.wait_for_selector("#answer .empty")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(visit: Callable, root: Path, scheme: str) -> None:
    tab = visit(375, scheme)
    widths = "[document.documentElement.scrollWidth, document.body.scrollWidth]"
    assert max(tab.evaluate(widths)) <= 375
    give(tab, next((root / "Waves").iterdir()))
    map_shown(tab)
    assert max(tab.evaluate(widths)) <= 375
    color = tab.evaluate("getComputedStyle(document.querySelector('.verdict')).color")
    assert (int(color.split("(")[1].split(",")[0]) > 128) == (scheme == "dark")


def test_nothing_else_is_served(address: str, root: Path, run_of_app: Path) -> None:
    painting = next((root / "Waves").iterdir())
    for path in (painting, run_of_app / "result.json", REPOSITORY / "README.md", Path("/etc/passwd")):
        assert httpx.get(f"{address}gradio_api/file={path}").status_code == 403, path

    def asked_for(file: dict) -> str:
        join = {"data": [file, "gradient"], "fn_index": 0, "session_hash": "any"}
        assert httpx.post(f"{address}gradio_api/queue/join", json=join).status_code == 200
        with httpx.stream("GET", f"{address}gradio_api/queue/data?session_hash=any", timeout=30) as stream:
            return next(line for line in stream.iter_lines() if "process_completed" in line)

    for more in ({}, {"meta": {"_type": "gradio.FileData"}}):
        assert "<img" not in asked_for({"path": str(painting), **more})


def test_a_port_that_is_taken(address: str, state: State) -> None:
    port = urlsplit(address).port
    with (
        pytest.raises(UserError, match=rf"can't listen at 127.0.0.1, port {port}: .* --port"),
        page.served(state, port=port),
    ):
        pass


def test_the_script_from_start_to_end(run_of_app: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "scripts/app.py"), str(run_of_app), "--no-similar"]
    environment = os.environ | {
        "TMPDIR": str(tmp_path),
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        line = next(line for line in process.stdout if line.startswith("the app: "))
        with httpx.Client(trust_env=False) as client:
            assert client.get(line.split()[2]).status_code == 200
        assert len(list(tmp_path.glob("brushwork-app-*"))) == 1
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        assert process.wait(20) == 130
        assert time.monotonic() - started < 15
        assert "Traceback" not in process.stdout.read()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert list(tmp_path.glob("brushwork-app-*")) == []
