"""The page: its layout in Gradio, what happens when something is dropped or chosen, and its server."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from brushwork import images
from brushwork.app import answers, texts
from brushwork.app.state import State
from brushwork.errors import UserError

if TYPE_CHECKING:
    import gradio

log = logging.getLogger(__name__)

_PREVIEW = 1024  # pixels of the longer side of what is shown in place of a file
_SHOWN_BY_BROWSERS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".avif")
_LARGEST = "200mb"  # of a file
_FAILED = "Something went wrong here: the terminal in which the app was started says what. Please try another picture."
# A click on a button with a `data-example` tells its number.
_EXAMPLES_JS = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-example]');
  if (button) trigger('click', {example: Number(button.dataset.example)});
});
"""


def require_gradio() -> None:
    """Raises a UserError where Gradio, which is an extra, is not installed."""
    try:
        import gradio  # noqa: F401
    except ModuleNotFoundError:
        raise UserError("the app needs Gradio: pip install '.[app]'") from None


def build(state: State) -> "gradio.Blocks":
    """The page of a network; nothing is served yet."""
    import gradio as gr

    seconds = 3600 * texts.KEPT_HOURS
    # One at a time: hooks of a method and of another answer would meet in the one network.
    options = {"concurrency_id": "network", "concurrency_limit": 1, "api_visibility": "private"}
    options |= {"trigger_mode": "multiple"}  # what is asked for while an answer is awaited is not forgotten
    choices = [(state.style(number), number) for number in range(len(state.predictor.class_names))]

    def html(value: str = "", **more: Any) -> gr.HTML:
        return gr.HTML(value, apply_default_css=False, **more)

    with gr.Blocks(title="Brushwork", analytics_enabled=False, delete_cache=(seconds // 6, seconds)) as page:
        current = gr.State(None)  # the path of the picture: of an upload, or of an example
        html(texts.header(state))
        with gr.Row():
            with gr.Column(scale=5, min_width=320):
                picture = gr.Image(
                    type="filepath",
                    sources=["upload", "clipboard"],
                    label="Painting",
                    show_label=False,
                    placeholder="# Drop a painting here\nor click to choose a file",
                    height=360,
                    buttons=["fullscreen"],
                    elem_id="painting",
                )
                # Gradio would open the file before it is given to us, and with less care.
                picture.preprocess = lambda payload: payload and _uploaded(payload.path)
            with gr.Column(scale=6, min_width=320):
                answer = html(texts.answer(state, None), elem_id="answer")
        examples = html(texts.examples(state), js_on_load=_EXAMPLES_JS, elem_id="examples")
        with gr.Column(visible=False, elem_id="evidence-part") as part:
            html('<div class="bw"><h2>What in the picture speaks for it?</h2></div>')
            with gr.Row():
                style = gr.Dropdown(choices, value=0, label="Style", filterable=False, elem_id="style")
                methods = [(texts.METHODS[name][0], name) for name in state.methods]
                method = gr.Dropdown(
                    methods, value=state.methods[0], label="Shown as", filterable=False, elem_id="method"
                )
            evidence = html(elem_id="evidence")
            similar = html(elem_id="similar")
        html(texts.about(state), elem_id="about")

        def updates(step: Step) -> list[Any]:
            chosen = gr.update() if step.style is None else gr.update(value=step.style)
            return [
                step.path,
                step.answer,
                gr.update(visible=step.path is not None),
                chosen,
                step.evidence,
                step.similar,
            ]

        # `picture` gets plain values, no updates: for these Gradio makes it anew, with its own `preprocess`.
        def given(path: str | None, method: str) -> Iterator[list[Any]]:
            for step in opened(state, path, method):
                kept = step.path and Path(step.path).suffix.lower() in _SHOWN_BY_BROWSERS
                yield [step.path if kept else preview(step.path), *updates(step)]

        def picked(method: str, event: gr.EventData) -> Iterator[list[Any]]:
            example = dict(enumerate(state.examples)).get(event._data.get("example"))
            for step in opened(state, example and str(example.path), method):
                yield [preview(step.path), *updates(step)]

        def preview(path: str | None) -> Image.Image | None:
            return path and _attempt(lambda path: images.thumbnail(path, _PREVIEW, state.max_megapixels), path)[0]

        shown = [picture, current, answer, part, style, evidence, similar]
        picture.input(given, [picture, method], shown, **options)
        examples.click(picked, method, shown, **options)
        explain = partial(explained, state)
        gr.on([style.input, method.input], explain, [current, style, method], evidence, **options)
    return page


class Step(NamedTuple):
    """What the page shows at one moment: the picture's path, its parts as HTML, and the style whose map is shown."""

    path: str | None = None
    answer: str = ""
    style: int | None = None
    evidence: str = ""
    similar: str = ""


def opened(state: State, path: str | None, method: str) -> Iterator[Step]:
    """What the page shows of a picture: first the answer, which comes soonest; None: as at the start."""
    if path is None:
        yield Step(answer=texts.answer(state, None))
        return
    found, message = _attempt(lambda path: answers.answer(state, path), path)
    if found is None:
        yield Step(answer=texts.error("answer", message))
        return
    step = Step(path, texts.answer(state, found), found.predicted)
    yield step
    yield step._replace(evidence=explained(state, path, found.predicted, method), similar=texts.similar(state, found))


def explained(state: State, path: str | None, style: int, method: str) -> str:
    """What speaks for a style, as HTML; "" where there is no picture."""
    if path is None:
        return ""
    found, message = _attempt(lambda path: answers.evidence(state, path, method, style), path)
    return texts.evidence(state, found) if found else texts.error("evidence", message)


def _uploaded(path: str) -> str:
    """A path that a browser names, which may be none of an upload: "", no file, then."""
    from gradio.utils import get_upload_folder

    return path if Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()) else ""


def _attempt(function: Callable[[Path], Any], path: str | Path) -> tuple[Any, str]:
    """What a function returns for a picture and "", or None and a sentence that says why not."""
    path = Path(path)
    try:
        if not path.is_file():
            raise UserError(f"{path}: it is no longer there")
        return function(path), ""
    except UserError as error:
        return None, answers.reason(error, path)
    except Exception:
        log.exception("unexpected, for %s", path)
        return None, _FAILED


@contextmanager
def served(state: State, host: str = "127.0.0.1", port: int | None = None) -> Iterator[str]:
    """The page's address while it is served; afterwards the given pictures are removed.

    port: None for 7860, or the next one that is free. A UserError where it is taken, or Gradio is missing.
    """
    require_gradio()
    with tempfile.TemporaryDirectory(prefix="brushwork-app-") as folder:
        # Read when Gradio is imported. Its server asks itself whether it runs, which a proxy would not answer.
        os.environ.update(GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED="False", NO_PROXY="*", no_proxy="*")
        import gradio as gr

        # Tracebacks of pages that are open when the process ends, or why a port can't be had.
        logging.getLogger("uvicorn.error").addFilter(lambda record: False)
        stone = {"primary_hue": "stone", "secondary_hue": "stone", "neutral_hue": "stone"}
        page = build(state)
        try:
            # Not mounted into a server of our own: Gradio refuses other files than uploads only in what it launched.
            _, address, _ = page.launch(
                server_name=host,
                server_port=port,
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                allowed_paths=[],
                show_error=False,
                max_file_size=_LARGEST,
                footer_links=[],
                run_history=False,
                ssr_mode=False,
                mcp_server=False,
                pwa=False,
                enable_monitoring=False,
                theme=gr.themes.Default(**stone, font=["system-ui", "sans-serif"], font_mono="monospace"),
                css_paths=Path(__file__).with_name("page.css"),
            )
        except (OSError, OverflowError):
            shown = "7860 or the next ones" if port is None else port
            raise UserError(
                f"the app can't listen at {host}, port {shown}: it is taken, or no address of this computer: "
                f"name another --port or --host"
            ) from None
        try:
            yield address
        finally:
            page.close(verbose=False)
