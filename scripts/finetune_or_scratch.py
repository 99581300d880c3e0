"""Fine-tune or train from scratch? python scripts/finetune_or_scratch.py RUNS..."""

import argparse
from pathlib import Path

from brushwork import files
from brushwork.terminal import exit_on_signals, exit_with, show_log, wrapped

FIGURE = "accuracy-by-data.png"

EPILOG = """\
examples:
  python train.py -m experiment=finetune_or_scratch data.root=PAINTINGS        the runs (conf/experiment has more)
  python scripts/finetune_or_scratch.py logs/finetune_or_scratch

The runs may differ in data.train_fraction, model.weights, model.redraw, tuning, split, budget (patience and
trainer.max_epochs) and seed, and in nothing else. Writes finetune_or_scratch.md (the report's three questions, answered
as far as the runs carry, and all tables), finetune_or_scratch.csv with every figure, and accuracy-by-data.png.
"""


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="finetune_or_scratch.py",
        description="Answer from finished runs whether to fine-tune or to train from scratch.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("runs", nargs="+", type=Path, metavar="RUNS", help="run folders, or folders that hold some")
    default = Path("logs/finetune_or_scratch_answer")
    parse.add_argument("--out", type=Path, default=default, metavar="DIR", help="(%(default)s)")
    return parse


def main() -> int:
    arguments = parser().parse_args()
    show_log()

    # Seconds to import, which --help and a mistyped option don't need.
    from brushwork import drawing, run_folder
    from brushwork.study import data_grid, figures, finetune_or_scratch, runs
    from brushwork.study import finetune_or_scratch_tables as tables
    from brushwork.study import finetune_or_scratch_text as text
    from brushwork.tables import plain

    found, left_out = runs.survey(arguments.runs)
    grid = data_grid.read(found)
    answered = finetune_or_scratch.answer(grid)
    picture = drawing.as_picture(figures.accuracy_by_data(grid.panels, grid.weights))

    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    with files.atomic_path(out / FIGURE) as temporary:
        picture.save(temporary, "PNG")
    run_folder.write_csv(out / "finetune_or_scratch.csv", tables.COLUMNS, tables.csv_rows(answered))
    files.write_text(out / "finetune_or_scratch.md", tables.markdown(grid, answered, left_out, FIGURE))

    for one in answered:
        print(f"{one.panel.name}\n")
        shown = [tables.accuracy_table(one.panel)]
        if any(result.gains for result in one.results):
            shown.append(tables.gains_table(one))
        for table in shown:
            print("\n".join(plain(table)), end="\n\n")
    for line in left_out:
        print(f"left out: {line}")
    for warning in grid.warnings:
        print(wrapped(f"warning: {warning}"))
    for answer in text.answers(grid, answered):
        print(f"\n{answer.question}")
        for line in answer.says:
            print(wrapped(f"{line}.", "  "))
        for lacks in answer.to_train:
            print(wrapped(f"{lacks.what}:", "  "))
            print(f"    {lacks.command}")
        for line in answer.not_carried:
            print(wrapped(f"not carried: {line}.", "  "))
    print("\nNone of these answers carries:")
    for line in text.not_carried(grid):
        print(wrapped(f"{line}.", "  "))
    print(f"\nresults: {out} (finetune_or_scratch.md, finetune_or_scratch.csv, {FIGURE})")
    return 0


if __name__ == "__main__":
    with exit_on_signals():
        exit_with(main)
