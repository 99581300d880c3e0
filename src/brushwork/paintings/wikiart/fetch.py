"""Stores chosen paintings in a folder: in parallel, each file atomically, resumed after an interruption."""

import hashlib
import json
import queue
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image
from tqdm import tqdm

from brushwork import csv_files, files, images
from brushwork.errors import UserError
from brushwork.paintings import listing
from brushwork.paintings.wikiart.candidates import Candidate, Source, Unavailable

FAILED = "failed.csv"
FAILED_COLUMNS = ("path", "source", "reason")
SETTINGS = "prepared.json"  # a folder holds the paintings of one choice of settings

QUALITY = 92  # of the stored JPEGs
MAX_MEGAPIXELS = 178  # Pillow's own limit: what is stored is far smaller
SAVE_EVERY = 5.0  # seconds between two writes of catalogue.csv: the most that a kill can cost
MAX_FAILURES = 20  # in a row, after which the source counts as unavailable

# Measured: JPEGs of quality 92 take 0.38 bytes a pixel; sides are as 0.73 to 1; huggan's 81,444 originals take 36 GB.
_BYTES_PER_PIXEL, _SIDES, _ORIGINAL_BYTES = 0.38, 0.73, 36e9 / 81444

_OF_CANDIDATE = ("style", "artist", "title", "source", "part", "date", "genre")  # columns of catalogue.csv
Rows = dict[str, dict[str, str]]  # rows of catalogue.csv


@dataclass(frozen=True)
class Counts:
    """The result of a job: paintings fetched now, those that existed, and failures by reason."""

    fetched: int
    existing: int
    failed: Counter[str]

    def __str__(self) -> str:
        failed = ", ".join(f"{reason}: {count}" for reason, count in self.failed.most_common())
        existing = " (existing)" if self.existing else ""
        reasons = f" ({failed})" if failed else ""
        return f"fetched {self.fetched}, skipped {self.existing}{existing}, failed {self.failed.total()}{reasons}"


def bytes_needed(candidates: Sequence[Candidate], longest_side: int | None) -> float:
    """The approximate disk space of the paintings; exact for originals from a folder."""
    if longest_side is not None:
        return len(candidates) * _BYTES_PER_PIXEL * _SIDES * longest_side**2
    places = (candidate.place for candidate in candidates)
    return sum(place.stat().st_size if isinstance(place, Path) else _ORIGINAL_BYTES for place in places)


@contextmanager
def prepared_folder(out: Path, settings: Mapping[str, object], candidates: Iterable[Candidate]) -> Iterator[Rows]:
    """Lock `out` for one job; yield the catalogue rows of its intact paintings, by their source.

    UserError if another process writes to it, or it holds other pictures, or was prepared with other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    with files.lock(out / ".lock", f"another process writes to {out}: wait for it", patience=0):
        files.remove_leftovers(out)
        rows = listing.read(out)
        if problem := _conflict(out, settings, candidates, rows):
            raise UserError(f"{out.resolve()} {problem}: name another folder with --out, or remove this one")
        if rows is None:
            listing.write(out, [])
        files.write_json(out / SETTINGS, settings)
        existing = [row for path, row in (rows or {}).items() if (out / path).is_file()]
        bar = tqdm(existing, "verifying files", unit=" paintings", leave=False, disable=None)
        yield {row["source"]: row for row in bar if files.sha256(out / row["path"]) == row["sha256"]}


def _conflict(out: Path, settings: Mapping[str, object], candidates: Iterable[Candidate], rows: Rows | None) -> str:
    """What an earlier or interrupted job with these settings can't have left in the folder; "" for nothing."""
    if rows and (out / SETTINGS).exists():
        earlier = json.loads((out / SETTINGS).read_text(encoding="utf-8"))
        for key, value in settings.items():
            if earlier.get(key) != value:
                return f"was prepared with {key} {earlier.get(key)}, not {value}"
    stem_of = {candidate.source: PurePosixPath(candidate.path).with_suffix("") for candidate in candidates}
    if other := [path for path, row in (rows or {}).items() if row["source"] not in stem_of]:
        return f"holds {len(other)} paintings that are not chosen now (first {other[0]})"
    # A killed job leaves intact files that are not listed yet.
    unlisted = set() if rows is None else set(stem_of.values())
    found = {str(path.relative_to(out)) for path in out.glob("[!.]*/[!.]*") if images.is_image_file(path.name)}
    unknown = sorted(found - set(rows or ()))
    other = [path for path in unknown if PurePosixPath(path).with_suffix("") not in unlisted]
    return f"holds pictures of another origin ({other[0]})" if other else ""


def fetch(
    source: Source, candidates: list[Candidate], out: Path, existing: Rows, longest_side: int | None, threads: int
) -> Counts:
    """Store the candidates that are not in `existing` (of `prepared_folder`); update catalogue.csv and failed.csv.

    Pictures of more than `longest_side` pixels are resized, and all stored as upright RGB JPEGs; None keeps the bytes.
    UserError if the source is unavailable, OSError if the disk is full: what was fetched is kept and listed.
    """
    rows = {candidate.source: existing[candidate.source] for candidate in candidates if candidate.source in existing}
    missing = [candidate for candidate in candidates if candidate.source not in existing]
    failed, saved = {}, time.monotonic()
    unavailable: set[object] = set()  # batches since the source last responded
    bar = tqdm(total=len(candidates), initial=len(rows), desc="paintings", unit=" paintings", disable=None)
    try:
        with bar, closing(_results(source, missing, out, longest_side, threads)) as results:
            for candidate, result in results:
                bar.update()
                if isinstance(result, UserError):
                    failed[candidate] = str(result)
                else:
                    rows[candidate.source] = result
                unavailable = unavailable | {candidate.batch} if isinstance(result, Unavailable) else set()
                if len(unavailable) == MAX_FAILURES:
                    raise UserError(
                        f"{MAX_FAILURES} failures in a row, the last {candidate.source}: {result}; fetched paintings "
                        f"are listed in {out / listing.CATALOGUE}: run this again later, or name another --source"
                    )
                if time.monotonic() > saved + SAVE_EVERY:
                    listing.write(out, rows.values())
                    saved = time.monotonic()
    finally:
        listing.write(out, rows.values())
        _write_failed(out, [candidate for candidate in missing if candidate.source not in rows], failed)
    return Counts(len(missing) - len(failed), len(existing), Counter(why.split(" (")[0] for why in failed.values()))


def _write_failed(out: Path, missing: Iterable[Candidate], failed: Mapping[Candidate, str]) -> None:
    """List the failures; candidates that this job did not reach keep the reason of an earlier one."""
    path = out / FAILED
    earlier = csv_files.read(path) if path.exists() else []
    reasons = {row["source"]: row["reason"] for row in earlier} | {c.source: why for c, why in failed.items()}
    rows = [{"path": c.path, "source": c.source, "reason": reasons[c.source]} for c in missing if c.source in reasons]
    if rows:
        csv_files.write(path, FAILED_COLUMNS, sorted(rows, key=lambda row: row["path"]))
    else:
        path.unlink(missing_ok=True)


def _results(
    source: Source, candidates: list[Candidate], out: Path, longest_side: int | None, threads: int
) -> Iterator[tuple[Candidate, dict | UserError]]:
    """Each candidate with its row or the reason of its failure, in order of completion. Raises what a thread raised."""
    done: queue.SimpleQueue[tuple[Candidate, dict | UserError] | BaseException] = queue.SimpleQueue()
    stop = threading.Event()
    batches = defaultdict(list)
    for candidate in candidates:
        batches[candidate.batch].append(candidate)

    def work(batch: list[Candidate]) -> None:
        try:
            unread = dict.fromkeys(batch)
            for candidate, content in () if stop.is_set() else source.read(batch):
                del unread[candidate]
                error = isinstance(content, UserError)
                done.put((candidate, content if error else _store(out, candidate, content, longest_side)))
                if stop.is_set():
                    return
            for candidate in unread:
                done.put((candidate, UserError("missing in the source")))
        except BaseException as error:  # raised in the main thread, which would wait for ever otherwise
            done.put(error)

    with ThreadPoolExecutor(threads) as pool:
        try:
            for batch in batches.values():
                pool.submit(work, batch)
            for _ in candidates:
                item = done.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()


def _store(out: Path, candidate: Candidate, content: bytes, longest_side: int | None) -> dict | UserError:
    """Write one painting atomically; its row of catalogue.csv."""
    try:
        picture = images.load_rgb(candidate.source, MAX_MEGAPIXELS, content, at_least=longest_side)
    except UserError as error:
        # Of "SOURCE: not an image; fetch it again", failed.csv has the source in a column of its own.
        return UserError(str(error).removeprefix(f"{candidate.source}: ").rsplit(";", 1)[0])
    path = PurePosixPath(candidate.path)
    if longest_side is None:
        kind = images.read(candidate.source, lambda image: image.format, MAX_MEGAPIXELS, content)
        path = path if kind in ("JPEG", "MPO") else path.with_suffix(f".{kind.lower()}")
    else:
        picture.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
        content = images.encoded(picture, "JPEG", QUALITY)
    digest = hashlib.sha256(content).hexdigest()
    if candidate.expected is not None:
        width, height, listed_digest = candidate.expected
        if picture.size != (width, height) or (longest_side is None and digest != listed_digest):
            return UserError("another picture than the listed one")
    (out / path).parent.mkdir(exist_ok=True)
    with files.atomic_path(out / path) as temporary:
        temporary.write_bytes(content)
    row = {name: getattr(candidate, name) for name in _OF_CANDIDATE}
    return row | {"path": str(path), "sha256": digest, "width": picture.width, "height": picture.height}
