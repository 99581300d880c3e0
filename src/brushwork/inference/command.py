"""scripts/predict.py from networks and pictures to the last line: answers streamed, checked, explained, summed up."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from brushwork import files, photo_files, result_folder, web_page
from brushwork.errors import UserError
from brushwork.inference import answers, embeddings, explained, labels, output, seen
from brushwork.inference.answers import AnsweredBatch
from brushwork.inference.labels import Truth
from brushwork.inference.output import Telling, Told
from brushwork.inference.similar import TrainingIndex
from brushwork.inference.summary import Tally
from brushwork.models.predictor import Predictor
from brushwork.models.weights import state_hash
from brushwork.photo_files import Found
from brushwork.readable import readable
from brushwork.saliency import methods
from brushwork.terminal import exit_on_signals, wrapped

_RESULTS = (output.PREDICTIONS, output.SKIPPED, output.PAGE, output.CONFUSION, output.MISTAKES, output.SCORES)
_NAME_WIDTH = 40  # columns of the terminal


@dataclass(frozen=True)
class Options:
    """The options of scripts/predict.py, which explains them."""

    out: Path | None = None
    top: int | None = None
    json: bool = False
    no_calibration: bool = False
    withhold: float | None = None
    labels: Path | None = None
    explain: str | None = None
    similar: int = 0
    root: Path | None = None
    embed: str | None = None
    resume: bool = False
    overwrite: bool = False
    batch_size: int | None = None
    max_megapixels: float = 89


class Command:
    """One call of scripts/predict.py. Making it checks all that can be refused before anything is written."""

    def __init__(
        self, predictors: Sequence[Predictor], checkpoints: Sequence[Path], photos: Sequence[Found], options: Options
    ) -> None:
        self.predictors, self.checkpoints, self.photos, self.options = predictors, checkpoints, photos, options
        self.first, out = predictors[0], options.out
        answers.class_orders(predictors)
        self.class_names = self.first.class_names
        self.batch_size = options.batch_size or answers.batch_size_of(self.first)
        self.methods = methods.named(options.explain, self.first.network) if options.explain else []
        if options.embed == "parquet":
            embeddings.pyarrow()
        if options.withhold is not None and (len(predictors) > 1 or options.no_calibration):
            raise UserError(
                "--withhold needs the calibrated answers of one network, for which its confidence was measured: "
                "leave out --ensemble and --no-calibration"
            )
        self.telling = Telling(
            self.class_names,
            options.top or len(self.class_names),
            output.threshold(self.first.calibration, options.withhold),
            self.first.familiarity,
            len(predictors),
            options.similar,
            options.labels is not None,
        )
        self.with_page = out is not None and bool(self.methods or options.similar)
        self.stems: list[str] = []
        if self.methods:  # the names of other pictures in the folder are taken
            taken = [Path(output.CONFUSION), Path(output.MISTAKES)]
            self.stems = photo_files.stems([*taken, *(photo.path for photo in photos)])[len(taken) :]
        if out is not None:
            pictures, others = [f"{stem}.png" for stem in self.stems], list(_RESULTS)
            others += [embeddings.name(kind) for kind in embeddings.KINDS]
            resume = options.resume and not options.overwrite
            result_folder.refuse_to_replace(
                out, pictures, others, (photo.path for photo in photos), options.overwrite, resume
            )
        self.truth: list[Truth | None] = [None] * len(photos)
        if options.labels is not None:
            self.truth = labels.read(photos, options.labels, self.class_names)
        self.index = None
        if options.similar:
            limits = {"max_megapixels": options.max_megapixels, "batch_size": self.batch_size}
            self.index = TrainingIndex.of_checkpoint(self.first, checkpoints[0], root=options.root, **limits)
        self.features = options.embed and out and embeddings.FeatureFile(out, options.embed)
        self.entries: list[dict[str, Any]] = []  # of the page
        self.tally, self.problems = Tally(), 0

    @property
    def about(self) -> dict[str, Any]:
        """What a resumed call must share."""
        chosen, table = self.options, self.options.labels
        return {
            "command": "predict",
            "networks": [
                f"{Path(one.name).name} ({state_hash(one.network.state_dict())[:8]})" for one in self.predictors
            ],
            "device": next(self.first.network.parameters()).device.type,
            "batch_size": self.batch_size,
            "max_megapixels": chosen.max_megapixels,
            "calibrated": not chosen.no_calibration,
            "withhold": chosen.withhold,
            "top": self.telling.top,
            "labels": table and (files.sha256(table) if table.is_file() else str(table)),
            "explain": self.methods,
            "similar": chosen.similar,
            "embed": chosen.embed,
            "pictures": f"{len(self.photos)} pictures ({files.short_hash([p.name for p in self.photos])[:4]})",
        }

    def run(self) -> int:
        """Answers all pictures; the exit status."""
        out, options = self.options.out, self.options
        with ExitStack() as stack:
            start = 0
            stack.enter_context(exit_on_signals())
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                refusal = f"another process writes to {out.resolve()}: wait for it, or choose another --out"
                stack.enter_context(files.lock(out / result_folder.LOCK, refusal))
                start = self._begin(out, options.resume and not options.overwrite)
            parts = self._parts_seen()
            begun = time.perf_counter()
            with tqdm(total=len(self.photos), initial=start, desc="predict", unit=" pictures", disable=None) as bar:
                for batch in self._batches(start, len(self.photos)):
                    self._take(batch)
                    bar.update(len(batch.numbers) + len(batch.failed))
            rate = (len(self.photos) - start) / (time.perf_counter() - begun)
            scores = self.tally.scores(self.truth, parts, self.class_names) if options.labels else {}
            sentences = self.tally.sentences(self.telling, options.withhold, scores)
            if out is not None:
                self._finish(out, sentences, scores)
        for sentence in sentences:
            self._say(wrapped(sentence))
        if self.problems:
            self._say(f"{self.problems} of {len(self.photos):,} pictures failed: see the errors")
        self._say(f"{self.tally.pictures:,} answers of {self._networks()}, {rate:.1f} pictures a second")
        if out is not None:
            written = [*_RESULTS, *(embeddings.name(kind) for kind in embeddings.KINDS)]
            listed = [*(["NAME.png"] if self.methods else []), *(name for name in written if (out / name).exists())]
            self._say(f"results: {out} ({', '.join(listed)})")
        return 1 if self.problems else 0

    def _networks(self) -> str:
        device = next(self.first.network.parameters()).device
        return f"{', '.join(map(str, self.checkpoints))} on {device}"

    def _say(self, line: str) -> None:
        tqdm.write(readable(line, keep="\n"), file=sys.stderr if self.options.json else sys.stdout)

    def _begin(self, out: Path, resume: bool) -> int:
        """Prepares the folder; the number of the first picture that has no answer there."""
        result_folder.begin(out, self.about, (*_RESULTS, *map(embeddings.name, embeddings.KINDS)), resume)
        width = self._width() if self.features else 0
        if not resume:
            output.begin_table(out, self.telling.columns, [], [])
            if self.features:
                self.features.keep(0, width)
            return 0
        at_most = self.features.rows(width) if self.features else None
        names = [photo.name for photo in self.photos]
        before = output.restart(out, self.telling.columns, names, self.batch_size, at_most)
        if self.features:
            self.features.keep(len(before.rows), width)
        self.tally.add(before.numbers, before.rows, self.truth, self.class_names)
        self.problems = len(before.skipped)
        if before.start:
            self._say(f"{before.start:,} of {len(self.photos):,} pictures are done already")
        if self.with_page and before.rows:  # the page has its first pictures again
            last = before.numbers[: explained.SHOWN][-1]
            for batch in self._batches(0, last + 1):
                self._explain(batch, self._told(batch), draw=False)
        return before.start

    def _width(self) -> int:
        """Of the features."""
        how, device = self.first.preprocessing, next(self.first.network.parameters()).device
        return self.first.logits_and_features(torch.zeros(1, 3, how.image_size, how.image_size, device=device))[
            1
        ].shape[1]

    def _batches(self, start: int, end: int) -> Iterator[AnsweredBatch]:
        """The answers for the pictures from one number to another."""
        options = {"batch_size": self.batch_size, "max_megapixels": self.options.max_megapixels}
        paths = [photo.path for photo in self.photos[start:end]]
        for batch in answers.batches(self.predictors, paths, calibrated=not self.options.no_calibration, **options):
            failed = [(start + number, error) for number, error in batch.failed]
            yield replace(batch, numbers=[start + number for number in batch.numbers], failed=failed)

    def _told(self, batch: AnsweredBatch) -> list[Told]:
        names = [self.photos[number].name for number in batch.numbers]
        truths = [self.truth[number] for number in batch.numbers]
        true = [None if truth is None else self.class_names[truth.style] for truth in truths]
        similar = self.index and batch.numbers and self.index.nearest(batch.features, self.options.similar)
        return self.telling.told(batch, names, true, similar or None)

    def _take(self, batch: AnsweredBatch) -> None:
        """Shows and writes the answers of a batch."""
        out, told = self.options.out, self._told(batch)
        self.problems += len(batch.failed)
        for number, error in batch.failed:
            tqdm.write(f"error: {readable(str(error))}", file=sys.stderr)
            if self.options.json:
                print(output.json_line({"path": self.photos[number].name, "error": str(error)}), flush=True)
        self._explain(batch, told, draw=True)
        rows = [self.telling.row(one) for one in told]
        if out is not None:
            if self.features:
                self.features.append(batch.features)
            skipped = [{"path": self.photos[number].name, "reason": str(error)} for number, error in batch.failed]
            output.add_skipped(out, skipped)
            result_folder.append(out / output.PREDICTIONS, self.telling.columns, rows)
        self.tally.add(batch.numbers, rows, self.truth, self.class_names)
        width = min(_NAME_WIDTH, max((len(one["path"]) for one in told), default=0))
        for one in told:
            line = output.json_line(one) if self.options.json else self.telling.line(one, width)
            tqdm.write(line, file=sys.stdout)

    def _explain(self, batch: AnsweredBatch, told: Sequence[Told], draw: bool) -> None:
        """Draws the maps of a batch, and keeps what the page shows of its first pictures."""
        out = self.options.out
        on_page = self.with_page and len(self.entries) < explained.SHOWN
        if not batch.numbers or not (self.methods or on_page):
            return
        for photo, one in zip(explained.photos(self.first, batch, self.methods, self.stems), told, strict=True):
            if isinstance(photo, UserError):
                tqdm.write(f"error: {readable(str(photo))}", file=sys.stderr)
                self.problems += draw
                continue
            if self.methods and draw:
                explained.draw(out, photo, self.class_names, min(3, len(self.class_names)))
            if self.with_page and len(self.entries) < explained.SHOWN:
                root = self.index and self.index.root
                self.entries.append(explained.shown(photo, one, root, self.options.max_megapixels))

    def _parts_seen(self) -> list[str]:
        """Of pictures with labels: the part of a network's run that each was in, "" for none."""
        parts = [""] * len(self.photos)
        if self.options.labels is not None:
            paths = [photo.path for photo in self.photos]
            for checkpoint in self.checkpoints:
                found = seen.parts(checkpoint, paths, self.options.root)
                if warning := seen.warning(checkpoint, found):
                    self._say(wrapped(f"warning: {warning}"))
                parts = [before or part for before, part in zip(parts, found, strict=True)]
        return parts

    def _finish(self, out: Path, sentences: Sequence[str], scores: Mapping[str, Any]) -> None:
        """Writes what needs all answers."""
        if self.features:
            self.features.finish(self._width(), out / output.PREDICTIONS)
        confusion = None
        if self.tally.judged:
            files.write_json(out / output.SCORES, scores)
            confusion = labels.confusion(self.tally.judged, self.class_names)
            worst = labels.mistakes(self.tally.judged, self.photos, self.class_names, self.options.max_megapixels)
            for name, picture in ((output.CONFUSION, confusion), (output.MISTAKES, worst)):
                if picture is not None:
                    with files.atomic_path(out / name) as temporary:
                        picture.save(temporary, "PNG")
        if self.with_page and self.entries:
            temperature = 1.0 if self.options.no_calibration else self.first.calibration.temperature
            about = {
                "networks": [str(checkpoint) for checkpoint in self.checkpoints],
                "probabilities": f"calibrated (temperature {temperature:.2f})"
                if temperature != 1
                else "not calibrated",
                "sentences": sentences,
                "confusion": confusion and web_page.data_uri(confusion, 90),
            }
            files.write_text(out / output.PAGE, explained.gallery(self.entries, self.tally.pictures, about))
