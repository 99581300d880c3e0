"""Download WikiArt from one of four sources into data/wikiart: python scripts/prepare_wikiart.py"""

import argparse
import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import installed  # noqa: F401
from brushwork.errors import UserError, one_line
from brushwork.terminal import add_table, count, exit_with, pair, path, show_log

if TYPE_CHECKING:
    from brushwork.paintings.wikiart.candidates import Candidate, Source

log = logging.getLogger("brushwork.scripts.prepare_wikiart")

EPILOG = """\
sources:
  artificio   Hugging Face's Artificio/WikiArt, streamed: the report's ten styles are among its 137
  huggan      Hugging Face's huggan/wikiart, streamed: 27 styles, without Neoclassicism and Surrealism
  folder      a download in folders, ArtGAN's, Kaggle's or any: --root PATH, and a split: --split FILE or FOLDER
  catalogue   a CSV of URLs (image_id, image_url, label, _split) by the report's protocol: --csv FILE

examples:
  python scripts/prepare_wikiart.py                                        400 paintings of each of ten styles
  python scripts/prepare_wikiart.py --source huggan --substitute Neoclassicism=Rococo Surrealism=Cubism
  python scripts/prepare_wikiart.py --source huggan --parquet shards/*.parquet
  python scripts/prepare_wikiart.py --source folder --root ~/wikiart --split ~/artgan --styles all --per-style all
  python scripts/prepare_wikiart.py --source catalogue --csv wikiart.csv.gz
  python scripts/prepare_wikiart.py --like catalogue.csv                   exactly the paintings of another data set

The same command resumes an interrupted download: intact files are skipped, failures (failed.csv) are tried again.
"""

# Which sources an option is for.
OPTIONS = {"parquet": ("artificio", "huggan"), "csv": ("catalogue",)}
OPTIONS |= dict.fromkeys(("root", "split", "table", "columns"), ("folder",))
PER_STYLE, SIZE = 400, 512


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="prepare_wikiart.py",
        description="Download WikiArt's paintings as DIR/Style/artist_title.jpg, listed in DIR/catalogue.csv.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sources = ("artificio", "huggan", "folder", "catalogue")
    parse.add_argument("--source", choices=sources, help="(artificio)")
    parse.add_argument("--like", type=path, metavar="FILE", help="exactly the paintings of this catalogue.csv")
    parse.add_argument(
        "--parquet", nargs="+", type=path, default=[], metavar="FILE", help="the source's shards on disk"
    )
    parse.add_argument("--root", type=path, metavar="PATH", help="the folder of style folders")
    parse.add_argument(
        "--split", type=path, metavar="PATH", help="a table of files and parts, or the folder of ArtGAN's lists"
    )
    add_table(parse)
    parse.add_argument("--csv", type=path, metavar="FILE", help="the catalogue of URLs, .csv or .csv.gz")
    parse.add_argument("--out", type=path, default=Path("data/wikiart"), metavar="DIR", help="(%(default)s)")
    parse.add_argument("--styles", nargs="+", metavar="STYLE", help="in any spelling, or all (the report's ten)")
    parse.add_argument("--per-style", type=_count_or_all, metavar="N|all", help=f"paintings a style ({PER_STYLE})")
    parse.add_argument(
        "--substitute", nargs="+", type=pair, default=[], metavar="A=B", help="use B if the source lacks A"
    )
    parse.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the random choice of paintings (%(default)s)"
    )
    parse.add_argument("--size", type=count, metavar="PIXELS", help=f"longer side at most ({SIZE})")
    parse.add_argument(
        "--original", action="store_true", help="keep the files as they are: no resizing, no re-encoding"
    )
    parse.add_argument(
        "--workers", type=count, metavar="N", help="paintings in parallel (4, or by the number of cores)"
    )
    return parse


def _count_or_all(text: str) -> int | str:
    return text if text == "all" else count(text)


def main() -> int:
    arguments = parser().parse_args()
    show_log()
    check(arguments)
    try:
        return prepare(arguments)
    except KeyboardInterrupt:
        print("interrupted: the same command resumes here")
        return 130
    except OSError as error:
        raise UserError(
            f"{arguments.out.resolve()}: {one_line(error)}; correct that, then run the same command again"
        ) from None


def check(arguments: argparse.Namespace) -> None:
    """Refuse incompatible options; the source is then known."""
    if arguments.like:
        check_like(arguments)
    arguments.source = arguments.source or "artificio"
    for option, sources in OPTIONS.items():
        if getattr(arguments, option) and arguments.source not in sources:
            raise UserError(f"--{option} goes with --source {' or '.join(sources)}, not with {arguments.source}")
    if arguments.source == "folder" and not arguments.root:
        raise UserError("--source folder needs the download's folder of style folders: add --root PATH")
    if arguments.source == "catalogue" and not (arguments.csv or arguments.like):
        raise UserError("--source catalogue needs a CSV of URLs: add --csv FILE")
    if arguments.source == "catalogue" and arguments.per_style:
        raise UserError("--per-style does not go with --source catalogue: the report's protocol fixes the rows")
    if arguments.seed < 0:
        raise UserError(f"--seed {arguments.seed} is negative: name a number from 0")
    if arguments.root and arguments.out.resolve().is_relative_to(arguments.root.resolve()):
        raise UserError(f"--out {arguments.out} is inside --root {arguments.root}: name another folder with --out")


def check_like(arguments: argparse.Namespace) -> None:
    """Read the catalogue in --like, which determines the source and the choice."""
    from brushwork.paintings.wikiart import like

    arguments.like = like.read(arguments.like)
    if arguments.source not in (None, arguments.like.source):
        raise UserError(f"{arguments.like.path} is of --source {arguments.like.source}, not of {arguments.source}")
    if arguments.like.path.resolve().parent == arguments.out.resolve():
        raise UserError(f"--like {arguments.like.path} is in --out {arguments.out}: name another folder with --out")
    arguments.source = arguments.like.source
    for option in ("styles", "per_style", "substitute", "csv", "split", "size"):
        if getattr(arguments, option):
            raise UserError(f"--{option.replace('_', '-')} does not go with --like: its catalogue says what is stored")


def open_source(arguments: argparse.Namespace) -> "Source":
    try:
        if arguments.source in OPTIONS["parquet"]:
            os.environ.setdefault("USE_TORCH", "0")  # `datasets` would import torch, which takes seconds
            from brushwork.paintings.wikiart.shards import shards

            return shards(arguments.source, arguments.parquet, arguments.seed)
        from brushwork.paintings.wikiart import sources
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed: python -m pip install --editable '.[data]'") from None
    if arguments.source == "folder":
        return sources.folder(arguments.root, arguments.split, arguments.seed, arguments.table, dict(arguments.columns))
    if arguments.like:
        return sources.urls(arguments.like.path.name)
    return sources.url_catalogue(arguments.csv, arguments.seed)


def choose(arguments: argparse.Namespace) -> "tuple[Source, list[Candidate]]":
    """The source and its paintings that are wanted."""
    from brushwork.paintings import styles
    from brushwork.paintings.wikiart import candidates, like

    if arguments.like:
        return like.candidates(arguments.like, open_source(arguments))
    source = open_source(arguments)
    requested = arguments.styles or list(styles.REPORT)
    per_style = arguments.per_style or ("all" if arguments.source == "catalogue" else PER_STYLE)
    chosen = candidates.choose(
        source,
        None if requested == ["all"] else requested,
        None if per_style == "all" else per_style,
        dict(arguments.substitute),
    )
    return source, chosen


def prepare(arguments: argparse.Namespace) -> int:
    # `datasets` takes a second to import, which --help and a mistyped option don't need.
    from brushwork import images
    from brushwork.paintings import listing
    from brushwork.paintings.wikiart import fetch, like

    source, chosen = choose(arguments)
    count = len({candidate.style for candidate in chosen})
    longest_side = None if arguments.original else arguments.size or SIZE
    settings = {"source": source.name, "split": arguments.split is not None, "seed": arguments.seed}
    if arguments.like:
        longest_side = None if arguments.original else arguments.like.longest_side
        settings = {"source": source.name} | like.settings(arguments.like)
    settings["longest_side"] = longest_side
    with fetch.prepared_folder(arguments.out, settings, chosen) as existing:
        missing = [candidate for candidate in chosen if candidate.source not in existing]
        needed, free = fetch.bytes_needed(missing, longest_side), shutil.disk_usage(arguments.out).free
        log.info("%d paintings of %d styles from %s; %d exist already", len(chosen), count, source.name, len(existing))
        log.info("the others need about %.2f GB in %s (free: %.0f GB)", needed / 1e9, arguments.out, free / 1e9)
        if needed > free:
            raise UserError(
                f"{arguments.out.resolve()} has {free / 1e9:.2f} GB free, about {needed / 1e9:.2f} GB are needed: "
                f"free some space, name another --out, or choose fewer (--per-style) or smaller (--size) paintings"
            )
        threads = arguments.workers or source.threads or max(4, images.default_workers())
        counts = fetch.fetch(source, chosen, arguments.out, existing, longest_side, threads)
        if arguments.like:
            like.report_differing(arguments.like, arguments.out)
    print(counts)
    if counts.failed:
        print(f"{arguments.out / fetch.FAILED} has the reasons; the same command tries them again")
    total = counts.fetched + counts.existing
    print(f"results: {arguments.out} ({total} paintings of {count} styles, {listing.CATALOGUE})")
    return 1 if counts.failed else 0


if __name__ == "__main__":
    exit_with(main)
