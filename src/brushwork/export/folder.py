"""An export's folder: all formats written aside, compared with the checkpoint, then put in their place."""

import errno
import json
import logging
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from brushwork import files
from brushwork.errors import UserError, unknown
from brushwork.export import card, checks, measured, program, smaller, source
from brushwork.export.card import CONFUSION, SALIENCY, Facts
from brushwork.export.checks import Format
from brushwork.export.picture import saliency
from brushwork.export.source import Source
from brushwork.models import checkpoint, published
from brushwork.models.predictor import Predictor, load_predictor

log = logging.getLogger(__name__)

FORMATS = ("onnx", "torch_export", "safetensors")
QUANTIZATIONS = ("dynamic", "static")
ONNX, HALF, INT8, PT2 = "model.onnx", "model_fp16.onnx", "model_int8.onnx", "model.pt2"
CARD = "README.md"
_FULL = 5e6  # bytes: with less than that left, an error of writing is one of a full disk
NAMES = (*published.FILES, ONNX, f"{ONNX}.data", HALF, INT8, PT2, CONFUSION, SALIENCY, CARD)


@dataclass(frozen=True)
class Choices:
    """What is exported. half, quantize ("dynamic" or "static"): smaller ONNX files beside the whole one.

    data: where the run's paintings are, if they were moved. licence: an identifier of the Hugging Face hub.
    repository: USER/NAME there, for the card. timed: measure the time for a picture.
    """

    formats: Sequence[str] = FORMATS
    opset: int = program.OPSET
    half: bool = False
    quantize: str | None = None
    data: Path | None = None
    licence: str = "other"
    repository: str | None = None
    timed: bool = True


@dataclass(frozen=True)
class Export:
    """What was written, the checkpoint first; `pictures` it was compared on; why accuracies are missing."""

    formats: list[Format]
    pictures: str
    not_measured: str | None
    names: list[str]  # of all files


def write(path: Path, out: Path, choices: Choices) -> Export:
    """Export a checkpoint into a folder, where it replaces an earlier export.

    UserError, and an unchanged folder, where a format's answers differ from the checkpoint's, or `out` has other files.
    """
    check(choices)
    refuse_to_replace(out)
    content, predictor = checkpoint.read(path), load_predictor(path)
    found = source.find(path, content, choices.data)
    if choices.quantize == "static":
        _require_training(found)
    with _aside(out) as folder:
        formats, pictures, pillow = _formats(folder, path, content, predictor, found, choices)
        formats, not_measured = _scored(formats, found, predictor, choices)
        drawn = {
            CONFUSION: measured.confusion_matrix(found, predictor.class_names),
            SALIENCY: saliency(predictor) if found and found.is_demo else None,
        }
        for name, picture in drawn.items():
            if isinstance(picture, Image.Image):
                picture.save(folder / name)
        figures = [name for name in drawn if (folder / name).exists()]
        facts = Facts(formats, pictures, pillow, not_measured, choices.licence, choices.repository, figures)
        files.write_text(folder / CARD, card.card(predictor, found, facts))
        names = _put(folder, out)
    return Export(formats, pictures, not_measured, names)


def check(choices: Choices) -> None:
    """Refuse unknown formats, and packages that are missing, before any work is done."""
    for name in choices.formats or [""]:
        if name not in FORMATS:
            raise unknown("--format", name, FORMATS)
    if choices.opset < program.SMALLEST_OPSET:
        raise UserError(f"torch writes ONNX of opset {program.SMALLEST_OPSET} and later, not --opset {choices.opset}")
    if (choices.half or choices.quantize) and "onnx" not in choices.formats:
        raise UserError("--half and --quantize are made of the ONNX file: add onnx to --format")
    try:
        import huggingface_hub  # noqa: F401

        if "onnx" in choices.formats:
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"{error.name} is not installed, which an export needs: pip install '.[export]'") from None


def refuse_to_replace(out: Path) -> None:
    """Raise UserError where a folder has files of these names that no export wrote."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out.resolve()} is a file: choose another --out")
    taken = [name for name in NAMES if (out / name).exists()]
    try:
        config = json.loads((out / published.CONFIG).read_text(encoding="utf-8"))
        is_ours = isinstance(config, dict) and config.get("library_name") == "brushwork"
    except (OSError, ValueError):
        is_ours = False
    if taken and not is_ours:
        raise UserError(f"{out.resolve()} holds {taken[0]} of something else: choose another --out")


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """A folder beside `out`, on the same disk, that is removed in the end."""
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.with_name(f".{uuid.uuid4().hex[:16]}.tmp")
    folder.mkdir()
    try:
        yield folder
    except UserError:
        raise
    except Exception as error:  # of a full disk each writer has its own
        if shutil.disk_usage(folder).free > _FULL and getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place, size = out.parent.resolve(), shutil.disk_usage(folder).free / 1e6
        raise UserError(
            f"{place} has {size:.0f} MB left, too few for the export: free space, or choose --out"
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(folder: Path, out: Path) -> list[str]:
    """Move the files into their place, and remove those of an earlier export that are no more."""
    out.mkdir(exist_ok=True)
    written = [name for name in NAMES if (folder / name).exists()]
    for name in written:
        with files.atomic_path(out / name) as temporary:
            (folder / name).rename(temporary)
    for name in {*NAMES} - {*written}:
        (out / name).unlink(missing_ok=True)
    return written


def _formats(
    folder: Path, path: Path, content: dict, predictor: Predictor, found: Source | None, choices: Choices
) -> tuple[list[Format], str, float]:
    """All formats, written and compared; the pictures they were compared on; the largest difference that comes from
    resizing by Pillow."""
    own, about = program.checkpoint_runner(predictor), program.about(predictor)
    pictures = source.for_check(found, predictor.preprocessing)
    expected = own(pictures.pixels)
    pillow = checks.largest(own(pictures.by_pillow), expected)
    size = path.stat().st_size if path.is_file() else 0
    formats = [Format("checkpoint, torch", path.name, size, own)]

    def add(name: str, file: str, runner: program.Run, may_differ: bool = False) -> None:
        bytes_ = checks.size_of(folder / file)
        formats.append(checks.compared(Format(name, file, bytes_, runner, may_differ), pictures.pixels, expected))
        log.info("%s: %s, largest difference of a probability %.1e", file, name, formats[-1].difference)

    published.write_config(folder, content)
    if "safetensors" in choices.formats:
        published.write_tensors(folder, content, checkpoint.network_state(content))
        add("safetensors", published.WEIGHTS, program.checkpoint_runner(load_predictor(folder)))
    if {"onnx", "torch_export"} & {*choices.formats}:
        log.info("tracing %s", predictor.described["architecture"])
        traced = program.traced(predictor)
    if "torch_export" in choices.formats:
        program.write_torch_export(traced, folder / PT2, about)
        add("torch.export", PT2, program.torch_export_runner(folder / PT2))
    if "onnx" in choices.formats:
        program.write_onnx(traced, folder / ONNX, about, choices.opset)
        add(f"ONNX, opset {choices.opset}", ONNX, program.onnx_runner(folder / ONNX))
    if choices.half:
        smaller.half(folder / ONNX, folder / HALF)
        add("ONNX, float16", HALF, program.onnx_runner(folder / HALF), may_differ=True)
    if choices.quantize:
        static = choices.quantize == "static"
        paths = source.chosen(found, "train", source.CALIBRATED) if static else []
        shown = source.batch(paths, predictor.preprocessing) if static else None
        log.info("quantizing%s", f", ranges from {len(paths)} training paintings" if static else "")
        smaller.quantize(folder / ONNX, folder / INT8, shown)
        add(f"ONNX, int8 {choices.quantize}", INT8, program.onnx_runner(folder / INT8), may_differ=True)
    if choices.timed:
        log.info("measuring the time for a picture")
        formats = [checks.timed(one, pictures.pixels) for one in formats]
    return formats, pictures.what, pillow


def _scored(
    formats: list[Format], found: Source | None, predictor: Predictor, choices: Choices
) -> tuple[list[Format], str | None]:
    """With accuracies for the checkpoint and the smaller formats; or why there are none."""
    if not (choices.half or choices.quantize):
        return formats, None
    if problem := checks.missing(found):
        if choices.data:
            raise UserError(f"the accuracy can't be measured: {problem}")
        return formats, problem
    some = [one for number, one in enumerate(formats) if number == 0 or one.may_differ]
    scored = {one.name: one for one in checks.scored(some, found, predictor.class_names, predictor.preprocessing)}
    return [scored.get(one.name, one) for one in formats], None


def _require_training(found: Source | None) -> None:
    if found is None or not source.chosen(found, "train", 1):
        where = f" in {found.root.resolve()}" if found else ", since the checkpoint is in no run folder"
        raise UserError(
            f"--quantize static needs training paintings, and there are none{where}: name their folder by --data, or "
            f"use --quantize dynamic"
        )
