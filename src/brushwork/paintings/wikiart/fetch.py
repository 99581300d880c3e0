"""Chosen paintings into a folder: in parallel, each whole or not at all, and after any interruption from there on."""

import io
import json
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image
from tqdm import tqdm

from brushwork import files, images, run_folder
from brushwork.errors import UserError
from brushwork.paintings import listing
from brushwork.paintings.wikiart.offers import Offer, Source, Unavailable

FAILED = "failed.csv"
FAILED_COLUMNS = ("path", "source", "reason")
SETTINGS = "prepared.json"  # what the folder was asked for: another question needs another folder

QUALITY = 92  # of the stored JPEGs
MAX_MEGAPIXELS = 178  # Pillow's own limit: what is stored is far smaller
SAVE_EVERY = 5.0  # seconds between two writings of catalogue.csv: what a kill can cost
FAILURES_IN_A_ROW = 20  # then the source is gone or turns us away: it is left in peace

# Measured: JPEGs of quality 92 take 0.38 bytes a pixel, and a painting's sides are as 0.73 to 1. huggan's 81,444
# files as WikiArt has them fill 36 GB.
_BYTES_PER_PIXEL, _SIDES, _ORIGINAL_BYTES = 0.38, 0.73, 36e9 / 81444


@dataclass(frozen=True)
class Counts:
    """How a job ended: paintings stored now, those that were there before, and failures by their reason."""

    got: int
    there: int
    failed: Counter[str]

    def __str__(self) -> str:
        failed = ", ".join(f"{reason}: {count}" for reason, count in self.failed.most_common())
        return (
            f"got {self.got}, skipped {self.there}{' (there already)' if self.there else ''}, "
            f"failed {self.failed.total()}{f' ({failed})' if failed else ''}"
        )


def bytes_needed(offers: Sequence[Offer], longest_side: int | None) -> float:
    """About how much disk the paintings will take; exact for originals from a folder."""
    if longest_side is not None:
        return len(offers) * _BYTES_PER_PIXEL * _SIDES * longest_side**2
    return sum(offer.place.stat().st_size if isinstance(offer.place, Path) else _ORIGINAL_BYTES for offer in offers)


@contextmanager
def prepared_folder(out: Path, settings: Mapping[str, object], offers: Iterable[Offer]) -> Iterator[dict[str, dict]]:
    """Hold `out` for one job; yield the rows of its whole paintings, by their source.

    Raises:
        UserError: another process has it, it holds other pictures, or was prepared with other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    with files.lock(out / ".lock", f"another process prepares {out}: wait for it", patience=0):
        files.remove_leftovers(out)
        listed = listing.read(out)
        _refuse_others(out, settings, offers, listed)
        if listed is None:
            listing.write(out, [])
        files.write_json(out / SETTINGS, settings)
        bar = tqdm((listed or {}).values(), desc="checking what is there", unit=" paintings", leave=False, disable=None)
        yield {row["source"]: row for row in bar if _is_whole(out, row)}


def _refuse_others(
    out: Path, settings: Mapping[str, object], offers: Iterable[Offer], listed: Mapping[str, Mapping] | None
) -> None:
    way_on = "name another folder with --out, or remove this one"
    if listed and (out / SETTINGS).exists():
        before = json.loads((out / SETTINGS).read_text(encoding="utf-8"))
        for key, value in settings.items():
            if before.get(key) != value:
                raise UserError(f"{out.resolve()} was prepared with {key} {before.get(key)}, not {value}: {way_on}")
    sources = {offer.source for offer in offers}
    if other := [path for path, row in (listed or {}).items() if row["source"] not in sources]:
        raise UserError(
            f"{out.resolve()} holds {len(other)} paintings that are not asked for now, the first {other[0]}: {way_on}"
        )
    # A killed job leaves whole files that it had not listed yet.
    unlisted = set() if listed is None else {str(PurePosixPath(offer.path).with_suffix("")) for offer in offers}
    found = {str(path.relative_to(out)) for path in out.glob("[!.]*/[!.]*") if path.suffix.lower() in images.EXTENSIONS}
    strangers = listing.differences((listed or {}).keys(), found)[1]
    if other := [path for path in strangers if str(PurePosixPath(path).with_suffix("")) not in unlisted]:
        raise UserError(f"{out.resolve()} holds pictures that this command did not put there ({other[0]}): {way_on}")


def _is_whole(out: Path, row: Mapping[str, str]) -> bool:
    path = out / row["path"]
    return path.is_file() and files.sha256(path) == row["sha256"]


def fetch(
    source: Source, offers: list[Offer], out: Path, there: dict[str, dict], longest_side: int | None, threads: int
) -> Counts:
    """Store the offers that are not `there`, as root/Style/artist_title.jpg; list them, and the failures.

    Args:
        there: the rows of `prepared_folder`.
        longest_side: pixels; larger pictures become smaller, all become upright RGB JPEGs. None keeps the bytes.

    Raises:
        UserError: the source turns us away again and again.
        OSError: the disk is full. In either case what was got stays and is listed.
    """
    rows = {offer.source: there[offer.source] for offer in offers if offer.source in there}
    missing = [offer for offer in offers if offer.source not in there]
    failed: dict[Offer, str] = {}
    failing: set[object] = set()  # batches since the source last answered
    saved = time.monotonic()
    bar = tqdm(total=len(offers), initial=len(rows), desc="paintings", unit=" paintings", disable=None)
    try:
        with bar, closing(_stored(source, missing, out, longest_side, threads)) as stored:
            for offer, outcome in stored:
                bar.update()
                if isinstance(outcome, Unavailable):
                    failing.add(offer.batch)
                else:
                    failing.clear()
                if isinstance(outcome, UserError):
                    failed[offer] = str(outcome)
                else:
                    rows[offer.source] = outcome
                if len(failing) == FAILURES_IN_A_ROW:
                    raise UserError(
                        f"{FAILURES_IN_A_ROW} failures in a row, the last {offer.source}: {outcome}; what was got is "
                        f"listed in {out / listing.CATALOGUE}: run this again later, or name another --source"
                    )
                if time.monotonic() > saved + SAVE_EVERY:
                    listing.write(out, rows.values())
                    saved = time.monotonic()
    finally:
        listing.write(out, rows.values())
        _write_failed(out, [offer for offer in missing if offer.source not in rows], failed)
    return Counts(len(missing) - len(failed), len(there), Counter(reason.split(" (")[0] for reason in failed.values()))


def _write_failed(out: Path, missing: Iterable[Offer], failed: Mapping[Offer, str]) -> None:
    """List what failed; what this job did not come to keeps the reason of an earlier one."""
    path = out / FAILED
    reasons = {row["source"]: row["reason"] for row in run_folder.read_csv(path)} if path.exists() else {}
    reasons |= {offer.source: reason for offer, reason in failed.items()}
    rows = [
        {"path": offer.path, "source": offer.source, "reason": reasons[offer.source]}
        for offer in missing
        if offer.source in reasons
    ]
    if rows:
        run_folder.write_csv(path, FAILED_COLUMNS, sorted(rows, key=lambda row: row["path"]))
    else:
        path.unlink(missing_ok=True)


def _stored(
    source: Source, offers: list[Offer], out: Path, longest_side: int | None, threads: int
) -> Iterator[tuple[Offer, dict | UserError]]:
    """Each offer with its row or the reason why it has none, as they get done.

    Raises:
        BaseException: what a thread raised, such as the OSError of a full disk.
    """
    done: queue.SimpleQueue[tuple[Offer, dict | UserError] | BaseException] = queue.SimpleQueue()
    stop = threading.Event()
    batches: dict[object, list[Offer]] = {}
    for offer in offers:
        batches.setdefault(offer.batch, []).append(offer)

    def work(batch: list[Offer]) -> None:
        try:
            unread = dict.fromkeys(batch)
            for offer, content in () if stop.is_set() else source.read(batch):
                del unread[offer]
                outcome = content if isinstance(content, UserError) else _store(out, offer, content, longest_side)
                done.put((offer, outcome))
                if stop.is_set():
                    return
            for offer in unread:
                done.put((offer, UserError("the source did not give it")))
        except BaseException as error:  # without it the main thread would wait for ever
            done.put(error)

    with ThreadPoolExecutor(threads) as pool:
        try:
            for batch in batches.values():
                pool.submit(work, batch)
            for _ in offers:
                item = done.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()


def _store(out: Path, offer: Offer, content: bytes, longest_side: int | None) -> dict | UserError:
    """Write one painting whole; its row of catalogue.csv."""
    try:
        picture = images.load_rgb(offer.source, MAX_MEGAPIXELS, content, at_least=longest_side)
    except UserError as error:
        # "SOURCE: not an image; fetch it again": failed.csv has the source apart, and fetches it again
        return UserError(str(error).removeprefix(f"{offer.source}: ").rsplit(";", 1)[0])
    path = PurePosixPath(offer.path)
    if longest_side is None:
        with Image.open(io.BytesIO(content)) as image:
            path = path if image.format in ("JPEG", "MPO") else path.with_suffix(f".{image.format.lower()}")
    else:
        picture.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    (out / path).parent.mkdir(exist_ok=True)
    with files.atomic_path(out / path) as temporary:
        if longest_side is None:
            temporary.write_bytes(content)
        else:
            picture.save(temporary, "JPEG", quality=QUALITY)
        digest = files.sha256(temporary)
    return {
        "path": str(path),
        "style": offer.style,
        "artist": offer.artist,
        "title": offer.title,
        "source": offer.source,
        "sha256": digest,
        "width": picture.width,
        "height": picture.height,
        "part": offer.part,
    }
