"""What is wrong with a folder of paintings? python scripts/check_data.py ROOT"""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import installed  # noqa: F401
from brushwork import files
from brushwork.errors import UserError
from brushwork.readable import readable
from brushwork.terminal import add_table, exit_with, path, show_log

if TYPE_CHECKING:
    from brushwork.paintings.checks.findings import Finding
    from brushwork.paintings.checks.report import Report

SHOWN = 10  # groups of a finding on the terminal; the page shows all
COLORS = {"spoils": "\033[31m", "warning": "\033[33m", "info": "\033[34m"}

EPILOG = """\
examples:
  python scripts/check_data.py data/wikiart
  python scripts/check_data.py data/wikiart --split-csv logs/wikiart/RUN/split.csv    the split of a run
  python scripts/check_data.py data/wikiart --out logs/wikiart_check && python train.py

The exit status is 1 for findings that would spoil a result: unreadable files, a picture in two parts of the split or
under two styles (also re-encoded, resized or mirrored), a style in two folders, a style that can't be split. Results
are cached by file: a second check opens only files that have changed.
"""


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="check_data.py",
        description="Report what is wrong with a folder of paintings: terminal, DIR/report.json, DIR/report.html.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument(
        "root",
        type=path,
        metavar="ROOT",
        help="Style/artist_title.jpg, Style/Artist/title.jpg, train/Style/..., or a table",
    )
    parse.add_argument(
        "--split-csv",
        type=path,
        metavar="FILE",
        help="a run's split.csv, ArtGAN's lists, any table of files and parts (default: training's default split)",
    )
    add_table(parse)
    parse.add_argument("--max-megapixels", type=float, default=89, metavar="N", help="as data.max_megapixels (89)")
    parse.add_argument("--out", type=path, default=Path("logs/check_data"), metavar="DIR", help="(%(default)s)")
    return parse


def main() -> int:
    arguments = parser().parse_args()
    show_log()

    # A second to import, which --help and a mistyped option don't need.
    from brushwork.paintings.checks.report import check, page

    start = time.perf_counter()
    try:
        report = check(
            arguments.root, arguments.split_csv, arguments.max_megapixels, arguments.table, dict(arguments.columns)
        )
        seconds = time.perf_counter() - start
        html = page(report, arguments.max_megapixels)
    except KeyboardInterrupt:
        print("interrupted: files read so far are cached, the same command resumes here", file=sys.stderr)
        return 130
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        files.write_json(arguments.out / "report.json", report.as_json())
        files.write_text(arguments.out / "report.html", html)
    except OSError as error:
        raise UserError(f"{arguments.out.resolve()}: {error.strerror}; name another --out") from None
    show(report)
    count = sum(row["paintings"] for row in report.styles)
    print(f"checked {count:,} paintings in {seconds:.1f} s, {count / seconds:,.0f} a second")
    if report.spoilt:
        kinds = [finding.kind for finding in report.findings if finding.severity == "spoils"]
        print(f"results on these paintings would be spoilt by: {', '.join(kinds)}")
    print(f"results: {arguments.out} (report.html, report.json)")
    return 1 if report.spoilt else 0


def show(report: "Report") -> None:
    """Print the statistics, then the findings, the gravest last."""
    used = [part for part, count in report.parts.items() if count]
    width = max(len(row["style"]) for row in report.styles)
    columns = ["paintings", *used, "artists"]
    print(f"{'style':<{width}}  {'  '.join(f'{name:>9}' for name in columns)}  median size")
    for row in report.styles:
        size = f"{row['median']['width']:.0f} x {row['median']['height']:.0f}" if row["median"] else "n/a"
        print(f"{readable(row['style']):<{width}}  {'  '.join(f'{row[name]:>9,}' for name in columns)}  {size:>11}")
    print(f"split: {report.split}")
    majority, lookup, known = (
        "n/a" if value is None else f"{value:.3f}"
        for value in (*report.baselines.values(), report.artists["share_of_val_by_artists_of_train"])
    )
    print(f"no pixel: majority {majority}, artist look-up {lookup}; share of val by artists in train: {known}")
    for finding in reversed(report.findings):
        show_finding(finding)


def show_finding(finding: "Finding") -> None:
    color, end = (COLORS[finding.severity], "\033[0m") if sys.stdout.isatty() else ("", "")
    count = f" {len(finding.groups):,}" if finding.groups else ""
    print(f"{color}{finding.severity}{count}{end}: {finding.message}")
    for group in finding.groups[:SHOWN]:
        print("   ", " = ".join(readable(f"{item.path} ({item.note})" if item.note else item.path) for item in group))
    if len(finding.groups) > SHOWN:
        print(f"    and {len(finding.groups) - SHOWN:,} more")


if __name__ == "__main__":
    exit_with(main)
