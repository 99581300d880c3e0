"""Fine-tune or train from scratch? python scripts/finetune_or_scratch.py RUNS..."""

import argparse
from pathlib import Path

import installed  # noqa: F401
from brushwork import files
from brushwork.terminal import exit_on_signals, exit_with, path, show_log, wrapped

FIGURE = "accuracy-by-data.png"

EPILOG = """\
examples:
  python train.py -m experiment=finetune_or_scratch data.root=PAINTINGS        the runs (conf/experiment has more)
  python scripts/finetune_or_scratch.py logs/finetune_or_scratch

The runs may differ only in data.train_fraction, model.weights, model.redraw, tuning, split, budget (patience and
trainer.max_epochs) and seed. Writes finetune_or_scratch.md (the report's three questions, answered as far as the runs
allow, and all tables), finetune_or_scratch.csv with every figure, and accuracy-by-data.png.
"""


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="finetune_or_scratch.py",
        description="Answer from finished runs whether to fine-tune or to train from scratch.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("runs", nargs="+", type=path, metavar="RUNS", help="run folders, or folders that hold some")
    default = Path("logs/finetune_or_scratch_answer")
    parse.add_argument("--out", type=path, default=default, metavar="DIR", help="(%(default)s)")
    return parse


def main() -> int:
    arguments = parser().parse_args()
    show_log()

    # Seconds to import, which --help and a mistyped option don't need.
    from brushwork import csv_files, drawing
    from brushwork.study import runs
    from brushwork.study.finetune_or_scratch import document, figure, grid, pairs
    from brushwork.tables import plain

    found, left_out = runs.find_all(arguments.runs)
    read = grid.read(found)
    compared = pairs.compare(read.panels)
    picture = drawing.as_picture(figure.accuracy_by_data(read.panels, read.weights))

    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    with files.atomic_path(out / FIGURE) as temporary:
        picture.save(temporary, "PNG")
    csv_files.write(out / "finetune_or_scratch.csv", document.COLUMNS, document.csv_rows(compared))
    files.write_text(out / "finetune_or_scratch.md", document.document(read, compared, left_out, FIGURE) + "\n")

    for panel, results in compared:
        print(f"{panel.name}\n")
        for table in filter(None, [document.accuracy_table(panel), document.gains_table(results)]):
            print("\n".join(plain(table)), end="\n\n")
    for line in left_out:
        print(f"left out: {line}")
    for warning in read.warnings:
        print(wrapped(f"warning: {warning}"))
    for line in document.answers(read, compared).splitlines():
        if line.startswith("- "):
            print(wrapped(line[2:], "  "))
        elif line:
            print(f"\n{line.removeprefix('## ')}" if line.startswith("## ") else line)
    print(f"\nresults: {out} (finetune_or_scratch.md, finetune_or_scratch.csv, {FIGURE})")
    return 0


if __name__ == "__main__":
    with exit_on_signals():
        exit_with(main)
