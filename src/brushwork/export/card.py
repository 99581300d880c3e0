"""The model card of an export, README.md in the format of the Hugging Face hub: measured figures only."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from brushwork import run_folder, tables, web_page
from brushwork.export import checks, measured
from brushwork.export.checks import Format
from brushwork.export.measured import Measured
from brushwork.export.source import Source
from brushwork.models.predictor import Predictor
from brushwork.models.published import library, public
from brushwork.readable import readable
from brushwork.tables import Table, cell

CONFUSION, SALIENCY = "confusion_matrix.png", "saliency.png"
_RESIZING = {
    "squash": "the whole picture, its aspect ratio not kept",
    "crop": "the largest square in the middle",
    "pad": "the whole picture, with white along its shorter side",
}
_PARTS = {"train": "to train", "val": "to validate", "test": "to test", "known": "by artists of these kept back"}


class Facts(NamedTuple):
    """What a card is made of, beside the checkpoint and its run."""

    formats: Sequence[Format]  # the first is the checkpoint
    pictures: str  # on which they were compared
    pillow: float  # the largest difference of a probability where Pillow resizes
    not_measured: str | None  # why the smaller formats have no accuracy
    licence: str
    repository: str | None  # USER/NAME on the hub
    figures: Sequence[str]  # files of pictures beside the card


def card(predictor: Predictor, source: Source | None, facts: Facts) -> str:
    """The text of README.md."""
    described = {key: public(key, value) for key, value in predictor.described.items()}
    data, title = str(described.get("data") or "not known"), f"Painting styles, {described['architecture']}"
    by_part, start = measured.of(source), str(described.get("initial_weights", "random"))
    text = web_page.render(
        "export/card.md.jinja",
        title=title,
        described=described,
        calibration=described.get("calibration"),
        used=predictor.preprocessing,
        names=[cell(name) for name in predictor.class_names],
        start="random weights" if start == "random" else f"the weights `{cell(start)}`",
        resizing=_RESIZING[predictor.preprocessing.resize],
        data=cell(data),
        source=source,
        counts=_counts(source),
        training=_training(described, source),
        number=source and source.epoch and source.run.result[source.epoch]["epoch"],
        measured=by_part,
        accuracies=_accuracies(by_part),
        recall=_recall(by_part),
        labels=measured.PARTS,
        held_out=source and source.epoch and (source.run.result.get("calibration") or {}).get(source.epoch),
        compared=source and measured.compared(source),
        example=example(predictor.preprocessing.resize) if any(f.file == "model.onnx" for f in facts.formats) else None,
        files=_files(facts.formats, facts.repository is not None),
        limits=_limits(predictor, source, by_part),
        facts=facts,
        confusion=CONFUSION if CONFUSION in facts.figures else None,
        saliency=SALIENCY if SALIENCY in facts.figures else None,
        markdown=tables.markdown,
    )
    return f"---\n{_metadata(title, data, described, start, by_part, facts)}\n---\n\n{text}\n"


def _metadata(
    title: str, data: str, described: dict[str, Any], start: str, by_part: dict[str, Measured], facts: Facts
) -> str:
    """The card's YAML."""
    library()
    from huggingface_hub import EvalResult, ModelCardData

    name = (
        "demo"
        if data.startswith("demo:")
        else re.sub(r"[^\w.-]+", "-", data, flags=re.ASCII).strip("-.") or "paintings"
    )
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=name,
            dataset_name=readable(data),
            dataset_split=measured.PARTS[part],
            metric_type="accuracy",
            metric_value=round(of_part.accuracy, 4),
        )
        for part, of_part in by_part.items()
    ]
    from_hub = re.match(r"hf:/+([^@]+)", start)
    return ModelCardData(
        library_name="brushwork",
        license=facts.licence,
        license_name="see-the-card" if facts.licence == "other" else None,
        pipeline_tag="image-classification",
        tags=["painting-styles", "art", described["architecture"]],
        datasets=[name] if "data" in described else None,
        base_model=from_hub[1] if from_hub else None,
        metrics=["accuracy"] if results else None,
        model_name=title if results else None,
        eval_results=results or None,
    ).to_yaml()


def example(resize: str) -> str:
    """The ten lines that use model.onnx without us."""
    return web_page.render("export/example.py.jinja", resize=resize).strip()


def _counts(source: Source | None) -> str:
    counts = source.counts() if source else {}
    return ", ".join(f"{count} {_PARTS[part]}" for part, count in counts.items())


def _accuracies(by_part: dict[str, Measured]) -> Table:
    of_any = [name for name in run_folder.BASELINES if any(f.baselines[name][0] is not None for f in by_part.values())]
    labels = [run_folder.BASELINES[name] for name in of_any]
    rows = [["measured on", "paintings", "accuracy", "balanced accuracy", *labels]]
    for part, found in by_part.items():
        accuracy = _with_interval(found.accuracy, found.interval)
        base = [_with_interval(value, interval) for value, interval in map(found.baselines.get, of_any)]
        rows.append([measured.PARTS[part], str(found.paintings), f"**{accuracy}**", f"{found.balanced:.3f}", *base])
    return rows


def _with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None:
        return "n/a"
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _recall(by_part: dict[str, Measured]) -> Table:
    styles = next((list(found.recall) for found in by_part.values()), [])
    rows = [["style", *(f"recall, {measured.PARTS[part]}" for part in by_part)]]
    for style in styles:
        values = [found.recall.get(style) for found in by_part.values()]
        rows.append([style, *("n/a" if not isinstance(value, float | int) else f"{value:.3f}" for value in values)])
    return rows


def _files(formats: Sequence[Format], is_pushed: bool) -> Table:
    """What the folder has, or the hub: all but the .pt2."""
    scored = any(one.accuracy is not None for one in formats)
    rows = [["file", "format", "MB", "largest difference", *(["validation accuracy"] if scored else [])]]
    for one in formats:
        if one.difference is not None and not (one.file.endswith(".pt2") and is_pushed):
            accuracy = "" if one.accuracy is None else f"{one.accuracy:.4f}"
            cells = [f"`{one.file}`", one.name, checks.megabytes(one.bytes), f"{one.difference:.1e}"]
            rows.append([*cells, *([accuracy] if scored else [])])
        elif scored and one.difference is None:
            rows.append(["", "the checkpoint", checks.megabytes(one.bytes), "", f"{one.accuracy:.4f}"])
    return rows


def _limits(predictor: Predictor, source: Source | None, by_part: dict[str, Measured]) -> list[str]:
    """What the figures do not show."""
    found = []
    if source and source.is_demo:
        found.append("The demo's pictures are no paintings: it shows that the program works, and no more.")
    for part, of_part in by_part.items():
        known, name = source.known_artists(part), measured.PARTS[part]
        if known is None:
            found.append("Who painted what is not known: it may know painters, not styles.")
        elif known == 0:
            found.append(f"No painter of the {name} part was seen in training: its figures are for other painters.")
        else:
            found.append(
                f"It may know painters, not styles: {known:.0%} of the {name} part is by painters of the training part"
                + _beside(of_part)
            )
    if predictor.familiarity:
        alarms = predictor.familiarity.false_alarms
        found.append(
            f"It answers with one of its styles for any picture, a photo too. `familiarity.safetensors` tells pictures "
            f"that are unlike the training ones; it is wrong about {alarms:.1%} of held-out paintings."
        )
    else:
        found.append("It answers with one of its styles for any picture, a photo too.")
    return found


def _beside(found: Measured) -> str:
    lookup, _ = found.baselines["artist_lookup"]
    if lookup is None:
        return "."
    return f": a look-up of the painter's style, which sees no picture, scores {lookup:.3f}, it {found.accuracy:.3f}."


def _training(described: dict[str, Any], source: Source | None) -> str:
    """How it was trained, as far as that is known."""
    if probe := described.get("probe"):
        return (
            f"a linear classifier on {probe['features']} frozen features (`probe.layers={probe['layers']}`), logistic "
            f"regression with C = {probe['strength']:g}, solved"
        )
    optimizer, epochs = described.get("optimizer") or {}, source and source.run.result["last"]
    known = {
        "optimizer": str(optimizer.get("_target_", "")).rpartition(".")[2],
        "rate": optimizer.get("lr"),
        "batch size": described.get("batch_size"),
        "seed": described.get("seed"),
        "epochs": epochs and epochs["epoch"],
    }
    return ", ".join(f"{key} {value}" for key, value in known.items() if value not in (None, ""))
