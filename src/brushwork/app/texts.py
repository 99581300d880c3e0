"""Answers as pieces of the page: what is said in which words, filled into the templates beside this file."""

from pathlib import Path

from brushwork import web_page
from brushwork.app.answers import Answer, Evidence
from brushwork.app.record import percent
from brushwork.app.state import State, shown
from brushwork.inference.similar import Neighbor
from brushwork.readable import readable

_BARS = 8  # styles that are seen at once
_THUMBNAIL = 240  # pixels of the longer side
_QUALITY = 85  # of the large pictures, WebP
KEPT_HOURS = 1  # of a picture that was given

_TRAINED_ON = (
    "This is one of the paintings on which the network was trained: it has seen the answer, so that a right one says "
    "little about how good it is."
)
METHODS = {
    "gradcam": ("Regions (Grad-CAM)", "The regions whose features raise the score of {style}."),
    "gradient": ("Pixels (gradient)", "The pixels to which the score of {style} is most sensitive."),
    "smoothgrad": (
        "Pixels, smoothed (SmoothGrad; slow)",
        "The pixels to which the score of {style} is most sensitive, averaged over noisy copies of the picture.",
    ),
    "input_x_gradient": (
        "Pixels by their colour (input times gradient)",
        "The pixels to which the score of {style} is most sensitive, times how far their colour is from the average.",
    ),
    "integrated_gradients": (
        "Pixels, added up (integrated gradients; slow)",
        "What each pixel adds to the score of {style} on the way from a plain picture to this one.",
    ),
    "guided_backprop": (
        "Fine lines (guided backpropagation)",
        "Sharp lines that raise the score of {style}. They hardly change with the style: take them for a drawing of "
        "the edges rather than for a reason.",
    ),
    "occlusion": (
        "Covering (occlusion; slow)",
        "Where the score of {style} falls most when a square of plain colour covers the place.",
    ),
}


def header(state: State) -> str:
    styles = len(state.predictor.class_names)
    return web_page.render("app/header.html.jinja", styles=styles, demo=state.is_demo)


def about(state: State) -> str:
    """How good the network is, and what it is."""
    described, known = state.predictor.described, state.record
    sentences, styles = "", []
    if known:
        sentences = f"{known.overall()} {known.of_painters()}"
        for one in known.by_style():
            recall = f"{one.correct} ({percent(one.correct / one.paintings)})" if one.paintings else "0"
            precision = percent(one.correct / one.called) if one.called else ""
            styles.append([shown(one.style), one.paintings, recall, one.called, precision])
    network = f"The network is {described['architecture']}, of the run {state.run}"
    kept = f"{KEPT_HOURS} hour{'s' if KEPT_HOURS > 1 else ''}"
    return web_page.render("app/about.html.jinja", record=sentences, styles=styles, network=network, kept=kept)


def answer(state: State, found: Answer | None) -> str:
    """The styles as bars; None: what will be there."""
    if found is None:
        return web_page.render("app/answer.html.jinja", rows=[])
    rows = [(state.style(number), share, _percent(share)) for number, share in found.probabilities]
    name, known = state.predictor.class_names[found.predicted], state.record
    return web_page.render(
        "app/answer.html.jinja",
        rows=rows,
        shown=len(rows) if len(rows) <= _BARS + 2 else _BARS,
        notes=[_TRAINED_ON] * found.was_trained_on + [_unlike(state)] * bool(found.is_unlike),
        record=known.of_style(name, shown(name)) if known else "",
        calibration=_calibration(state),
    )


def evidence(state: State, found: Evidence) -> str:
    """The picture and what in it speaks for a style."""
    style, how = state.style(found.target), state.predictor.preprocessing
    part = {"crop": ", of which the middle", "pad": ", with white borders"}.get(how.resize, "")
    defect = f"There is nothing to show by this method ({found.defect}): try another one." if found.defect else ""
    return web_page.render(
        "app/evidence.html.jinja",
        what=METHODS[found.method][1].format(style=style),
        style=style,
        defect=defect,
        picture=web_page.data_uri(found.picture, _QUALITY),
        overlay=found.overlay and web_page.data_uri(found.overlay, _QUALITY),
        seen=f"The picture{part}. The network sees it at {how.image_size} by {how.image_size} pixels.",
    )


def similar(state: State, found: Answer | None) -> str:
    """The training paintings that are most similar."""
    if found is None or not found.similar:
        return ""
    paths = [neighbor.path for neighbor in found.similar]
    pictures = web_page.thumbnails(state.index.root, paths, _THUMBNAIL, state.max_megapixels)
    paintings = [_caption(neighbor) | {"picture": pictures[neighbor.path]} for neighbor in found.similar]
    return web_page.render("app/similar.html.jinja", paintings=paintings)


def examples(state: State) -> str:
    """The examples as buttons, numbered by `data-example`; "" where none can be read."""
    if not state.examples:
        return ""
    pictures = web_page.thumbnails(Path(), [str(one.path) for one in state.examples], _THUMBNAIL, state.max_megapixels)
    rows = [
        {
            "number": number,
            "picture": pictures[str(one.path)],
            "style": shown(one.style),
            "outcome": "recognised" if one.predicted == one.style else f"taken for {shown(one.predicted)}",
        }
        for number, one in enumerate(state.examples)
        if pictures[str(one.path)]
    ]
    return web_page.render("app/examples.html.jinja", examples=rows) if rows else ""


def error(template: str, message: str) -> str:
    """A sentence in place of an answer or of evidence."""
    return web_page.render(f"app/{template}.html.jinja", error=message)


def _caption(neighbor: Neighbor) -> dict[str, str]:
    """Artist and title with capitals, which file names lack."""
    artist = readable(neighbor.artist or "").replace("-", " ")
    title = neighbor.title.removeprefix(f"{artist}: ")
    return {
        "artist": " ".join(word[:1].upper() + word[1:] for word in artist.split()),
        "title": title[:1].upper() + title[1:],
        "style": shown(neighbor.style),
        "similarity": f"{neighbor.similarity:.3f}",
    }


def _unlike(state: State) -> str:
    alarms = percent(state.predictor.familiarity.false_alarms)
    return (
        f"This picture is unlike the paintings on which the network was trained, so that its answer may mean nothing. "
        f"(It says so of {alarms} of paintings as well.)"
    )


def _calibration(state: State) -> str:
    if not state.predictor.calibration.is_fitted:
        return "The percentages are not calibrated: the network may be surer than it should be."
    error = state.record and state.record.calibration_error
    if error is None:
        return "The percentages are calibrated on the validation part."
    points = max(1, round(100 * error))
    return f"The percentages are calibrated: measured on other paintings, they are {points} points off on average."


def _percent(share: float) -> str:
    """
    >>> _percent(0.004), _percent(0.997), _percent(0.5)
    ('< 1 %', '> 99 %', '50 %')
    """
    if 0 < share < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 < share < 1 else percent(share)
