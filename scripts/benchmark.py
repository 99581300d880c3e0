"""How fast is Brushwork, compared with the alternatives? python scripts/benchmark.py"""

import argparse
import json
import tempfile
from importlib.util import find_spec
from pathlib import Path

import installed  # noqa: F401
from benchmarks.rows import GROUPS, ROWS
from benchmarks.setup import Setup
from brushwork import files, run_names
from brushwork.errors import UserError, unknown
from brushwork.terminal import count, exit_on_signals, exit_with, path

WIKIART = Path("data/wikiart")
EPILOG = """\
examples:
  python scripts/benchmark.py                                   half an hour on 2 cores
  python scripts/benchmark.py --only full,steady --repeats 5
  python scripts/benchmark.py --root ~/wikiart --paintings 2800 --out logs/benchmark/h200

groups of rows, for --only:
  steady     images a second in training, beside the bare step on data in memory
  full       five epochs, with and without caches, beside a plain loop and beside Lightning's defaults
  head_only  five epochs of the new layer alone, without caches, beside a plain loop
  start      --help and the first step, beside the imports of torch and lightning
  saliency   maps of VGG-16 for the predicted class, beside captum
  methods    maps of SqueezeNet by each saliency method, and their memory, beside captum
  predict    pictures a second of predict.py, beside Pillow, torchvision's transforms and the same network
  memory     with 20,000 pictures, beside 2,000
  extras     the cost of checkpoints, dashboard and panels

All sides work on the same large JPEGs with grain, made from ROOT's paintings; each runs in a process of its own, in
turn, its clock started after the imports. Checkpoints, dashboard, panels, progress bar and TensorBoard are off except
in the rows of their own. The files are in the system's cache for all sides.
"""


def main() -> int:
    arguments = parser().parse_args()
    if arguments.side:  # a process that benchmarks.process started
        from benchmarks import sides

        side, setup = arguments.side
        print(json.dumps(sides.figures(side, Setup(**json.loads(setup)))))
        return 0
    with exit_on_signals():
        return benchmark(arguments)


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="benchmark.py",
        description="Compare Brushwork with the bare step, a plain training loop, Lightning's defaults and captum.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("--root", type=path, metavar="FOLDER", help="style folders (data/wikiart; else the demo's)")
    parse.add_argument("--paintings", type=count, default=420, metavar="N", help="over all styles (%(default)s)")
    parse.add_argument("--repeats", type=count, default=2, metavar="N", help="whose median counts (%(default)s)")
    parse.add_argument("--only", type=groups, default=GROUPS, metavar="ROWS", help="a comma list of the groups below")
    parse.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="(%(default)s)")
    parse.add_argument("--out", type=path, metavar="DIR", help="default: a new folder in logs/benchmark")
    parse.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    return parse


def groups(text: str) -> tuple[str, ...]:
    """The argparse type of a comma list of groups."""
    for name in (names := tuple(text.split(","))):
        if name not in GROUPS:
            raise argparse.ArgumentTypeError(str(unknown("group", name, GROUPS)))
    return names


def benchmark(arguments: argparse.Namespace) -> int:
    """Measure all sides in turn, and write the results."""
    for needed in ("captum", "psutil"):
        if find_spec(needed) is None:
            raise UserError(f"the benchmark needs {needed}: pip install --constraint constraints.txt {needed}")

    # These imports take seconds; --help and a mistyped option do without.
    from benchmarks import jpegs, report
    from benchmarks.measure import measure
    from brushwork import drawing
    from brushwork.paintings import catalogue
    from brushwork.training import devices

    device = devices.choose(arguments.device).type
    root = arguments.root or (WIKIART if WIKIART.is_dir() else None)
    if root is not None:
        catalogue.scan(root)  # refuses a folder without paintings before anything is written
    out = arguments.out or Path(run_names.fresh_folder("logs/benchmark", ""))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="work-", dir=out.resolve()) as work:
        paintings = jpegs.make_large(root, arguments.paintings, Path(work))
        setup = Setup(work=work, device=device, paintings=len(paintings), train=jpegs.training_share(paintings))
        machine = report.machine(device) | {
            "paintings": len(paintings),
            "bytes_a_painting": round(sum(path.stat().st_size for path in paintings) / len(paintings)),
            "repeats": arguments.repeats,
        }
        print(f"{len(paintings)} JPEGs of {jpegs.LONGER_SIDE} pixels, {machine['bytes_a_painting'] / 1000:.0f} kB each")
        rows = [row for row in ROWS if row.group in arguments.only]
        raw, machine["plain_workers"] = measure(rows, setup, arguments.repeats)
        machine["threads"] = sorted({threads for figures in raw.values() for threads in figures.pop("threads", [])})
    compared = report.compare(rows, raw, on_gpu=device == "cuda")
    description, table = report.describe(machine, jpegs.LONGER_SIDE), report.table(compared)
    files.write_json(out / "benchmark.json", {"machine": machine, "rows": compared, "raw": raw})
    files.write_text(out / "benchmark.md", f"{description}\n\n{report.markdown(table)}\n")
    with files.atomic_path(out / "benchmark.png") as temporary:
        drawing.as_picture(report.figure(compared)).save(temporary, "PNG")
    print(f"{description}\n{report.aligned(table)}")
    failed = [side for side, figures in raw.items() if not figures]
    if failed:
        print(f"without the rows of what failed: {', '.join(failed)}; see the errors")
    print(f"results: {out} (benchmark.json, benchmark.md, benchmark.png)")
    return 1 if failed else 0


if __name__ == "__main__":
    exit_with(main)
