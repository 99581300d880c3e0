"""The answer for a picture and what supports it, against the network itself; and what is said where there is none."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from brushwork import images
from brushwork.app import answers, page, texts
from brushwork.app.state import State
from brushwork.inference.similar import Neighbor
from brushwork.models.familiarity import Familiarity
from brushwork.saliency import METHODS, gradient
from tests.app.conftest import TEMPERATURE


@pytest.fixture
def wide(tmp_path: Path, root: Path) -> Path:
    path = tmp_path / "wide.png"
    Image.open(next((root / "Waves").iterdir())).resize((90, 45)).save(path)
    return path


def test_the_networks_own_probabilities(state: State, wide: Path) -> None:
    found = answers.answer(state, wide)
    with torch.inference_mode():
        logits = state.predictor.network(state.predictor.transform(images.load_rgb(wide))[None])[0]
    expected = (logits / TEMPERATURE).softmax(0)
    assert dict(found.probabilities) == pytest.approx(dict(enumerate(expected.tolist())), abs=1e-5)
    assert found.predicted == expected.argmax()
    assert [share for _, share in found.probabilities] == sorted(expected.tolist(), reverse=True)
    assert found.is_unlike is False


def test_a_training_painting_is_most_like_itself(state: State, wide: Path) -> None:
    painting = state.index.paintings[5]
    found = answers.answer(state, state.index.root / painting.path)
    assert len(found.similar) == answers.SIMILAR
    assert found.similar[0].path == painting.path
    assert found.similar[0].similarity == pytest.approx(1, abs=1e-4)
    assert found.was_trained_on and "it has seen the answer" in texts.answer(state, found)
    for path in (wide, state.examples[0].path):
        found = answers.answer(state, path)
        assert not found.was_trained_on and "it has seen the answer" not in texts.answer(state, found)


def test_unlike_the_training_pictures(state: State, wide: Path) -> None:
    nearly = dataclasses.replace(state.predictor.familiarity, threshold=-1.0)
    other = dataclasses.replace(state, predictor=dataclasses.replace(state.predictor, familiarity=nearly))
    found = answers.answer(other, wide)
    assert found.is_unlike
    assert "unlike the paintings on which the network was trained" in texts.answer(other, found)
    assert "4 %" in texts.answer(other, found)
    assert isinstance(nearly, Familiarity)


def test_evidence_lies_over_the_picture_in_its_proportions(state: State, wide: Path) -> None:
    found = answers.evidence(state, wide, "gradient", 1)
    assert found.picture.size == found.overlay.size == (640, 320)
    image = state.predictor.transform(images.load_rgb(wide))[None]
    by_hand = gradient(state.predictor.network, image, 1)[0].numpy()
    shown = np.asarray(found.overlay.convert("L").resize(by_hand.T.shape), float)
    grey = np.asarray(found.picture.convert("L").resize(by_hand.T.shape), float) * 0.75
    brightest = by_hand > np.quantile(by_hand, 0.98)
    assert (shown - grey)[brightest].mean() > 2 * abs(shown - grey)[by_hand < np.quantile(by_hand, 0.3)].mean()
    others = [answers.evidence(state, wide, "gradient", target).overlay.tobytes() for target in (0, 2)]
    assert found.overlay.tobytes() not in others


def test_every_method_has_its_words(state: State) -> None:
    assert texts.METHODS.keys() == METHODS.keys()
    assert set(state.methods) == set(METHODS)


def test_a_map_that_shows_nothing(state: State, wide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "gradient", lambda model, images, targets: torch.zeros(1, 48, 48))
    html = page.explained(state, str(wide), 0, "gradient")
    assert "nothing to show by this method (zero everywhere)" in html
    assert html.count("<img") == 1


def test_step_by_step(state: State, wide: Path) -> None:
    first, second = page.opened(state, str(wide), "gradient")
    found = answers.answer(state, wide)
    name = state.style(found.predicted)
    assert (first.path, first.style) == (second.path, second.style) == (str(wide), found.predicted)
    assert f"{name} <small>" in first.answer and name in first.answer.split("<dt>")[1]
    assert f"{100 * found.probabilities[0][1]:.0f} %" in first.answer
    assert "of the validation part, which it was not trained on" in first.answer
    assert "6 points off on average" in first.answer
    assert (first.evidence, first.similar) == ("", "")
    assert second.evidence.count("<img") == 2 and f"What speaks for {name}" in second.evidence
    assert second.similar.count("<img") == answers.SIMILAR
    (empty,) = page.opened(state, None, "gradient")
    assert (empty.path, empty.style) == (None, None) and "The answer appears here" in empty.answer


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.jpg", b"no picture", "text.jpg can't be used: not an image. Please try another file"),
        ("zero.jpg", b"", "zero.jpg can't be used: not an image (0 bytes). Please"),
        ("a.heic", b"ftypheic", "a.heic is a .heic file, which can't be read here. Save it as a JPEG"),
        ("<b>.jpg", b"x", "&lt;b&gt;.jpg can't be used"),
        ("gone.jpg", None, "gone.jpg can't be used: it is no longer there. Please give it again."),
    ],
)
def test_what_is_no_picture(state: State, tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    (step,) = page.opened(state, str(tmp_path / name), "gradient")
    assert said in step.answer.replace("&#39;", "'")
    assert str(tmp_path) not in step.answer
    assert (step.path, step.style, step.evidence) == (None, None, "")
    assert said in page.explained(state, str(tmp_path / name), 0, "gradient").replace("&#39;", "'")


def test_too_large_truncated_and_unexpected(
    state: State, wide: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    small = dataclasses.replace(state, max_megapixels=0.001)
    (step,) = page.opened(small, str(wide), "gradient")
    assert "over the limit of 0.001. Please make it smaller." in step.answer
    assert "data.max_megapixels" not in step.answer
    wide.write_bytes(wide.read_bytes()[:200])
    (step,) = page.opened(state, str(wide), "gradient")
    assert "cannot be decoded" in step.answer
    monkeypatch.setattr(answers, "answer", lambda state, path: 1 / 0)
    (step,) = page.opened(state, str(wide), "gradient")
    assert "Something went wrong here" in step.answer
    assert "ZeroDivisionError" in caplog.text


def test_names_are_escaped_and_captions_have_capitals(state: State) -> None:
    neighbors = [
        Neighbor("a/x_y.jpg", "A_<b>", "vincent-van-gogh", "vincent van gogh: three pairs <i>", 0.98765),
        Neighbor("b/1.jpg", "B", None, "sunset", 0.5),
        Neighbor("c/2.jpg", "C", "Édouard Manet", "olympia", 0.4),
    ]
    html = texts.similar(state, dataclasses.replace(answers.Answer("", [], None, neighbors)))
    assert "Vincent Van Gogh: Three pairs &lt;i&gt;<span>A &lt;b&gt;, 0.988</span>" in html
    assert "<figcaption>Sunset<span>B, 0.500</span>" in html
    assert "Édouard Manet: Olympia" in html
    assert "<img" not in html  # such files are not there
    assert texts.similar(state, None) == ""


def test_many_styles(state: State) -> None:
    names = [f"Style_{number} & more" for number in range(27)]
    other = dataclasses.replace(state, predictor=dataclasses.replace(state.predictor, class_names=names), record=None)
    probabilities = [(number, 2.0 ** -(number + 1)) for number in range(27)]
    html = texts.answer(other, answers.Answer("a.jpg", probabilities, None, []))
    assert "<summary>19 more styles</summary>" in html
    assert html.split("<details>")[0].count("<dt>") == 8 and html.count("<dt>") == 27
    assert "Style 0 &amp; more <small>50 % probable" in html
    assert html.count("&lt; 1 %") == 20 and "&gt; 99 %" not in html


def test_what_the_page_says_of_the_network(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "This is a demo." in texts.header(state)
    about = texts.about(state)
    assert "It named the right style for 7 of 9 paintings of the validation part (78 %;" in about
    assert "squeezenet1_1, of the run demo run" in about
    assert about.count("<tr>") == 4
    assert texts.examples(state).count("data-example=") == len(state.examples)
    folder = state.examples[0].path.parents[1]
    monkeypatch.chdir(folder)  # the paintings of a run may be named from where it was started
    near = [one._replace(path=one.path.relative_to(folder)) for one in state.examples]
    assert texts.examples(dataclasses.replace(state, examples=near)) == texts.examples(state)
    bare = dataclasses.replace(state, record=None, examples=[])
    assert "is not known here" in texts.about(bare)
    assert texts.examples(bare) == ""
