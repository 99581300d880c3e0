"""Is the difference between two arms real? python scripts/compare.py RUNS..."""

import argparse
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from brushwork import files
from brushwork.errors import UserError
from brushwork.terminal import exit_on_signals, exit_with, show_log, wrapped

if TYPE_CHECKING:
    from PIL import Image

    from brushwork.contact_sheet import Cell
    from brushwork.study.comparison import Comparison

log = logging.getLogger("brushwork.scripts.compare")

PANEL = 6  # paintings whose maps are drawn

EPILOG = """\
examples:
  python scripts/compare.py logs/demo                               both heads, all of their seeds
  python scripts/compare.py logs/wikiart logs/more_seeds --out logs/heads
  python scripts/compare.py logs/rates --reference lr=0.01          the arm that the others are held against

Arms are found from what differs between the runs' settings. Compared is the last epoch: by seed (paired t test),
by painting (bootstrap over artists, McNemar), corrected for the number of arms. Writes comparison.html, comparison.md,
comparison.csv and the figures as PNG.
"""


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="compare.py",
        description="Say whether the difference between arms of finished runs is real.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("runs", nargs="+", type=Path, metavar="RUNS", help="run folders, or folders that hold some")
    parse.add_argument("--reference", metavar="ARM", help="hold the others against it (default: the first by name)")
    parse.add_argument("--out", type=Path, default=Path("logs/comparison"), metavar="DIR", help="(%(default)s)")
    return parse


def main() -> int:
    arguments = parser().parse_args()
    show_log()

    # Seconds to import, which --help and a mistyped option don't need.
    from brushwork import contact_sheet, run_folder, tables
    from brushwork.study import arms, comparison, comparison_page, comparison_text, runs

    found, left_out = runs.survey(arguments.runs)
    compared = comparison.compare(arms.against(arms.group(found), arguments.reference))
    maps, why_no_maps = panel(compared)
    pictures = draw(compared)
    page = comparison_page.page(
        compared,
        [pictures["figure-5-validation-accuracy"], pictures["figure-6-training-loss"]],
        {arm.name: pictures[name] for arm in compared.arms if (name := confusion(arm.name)) in pictures},
        maps,
        why_no_maps,
        left_out,
    )
    if maps:
        pictures["saliency"] = contact_sheet.sheet(maps, side=comparison_page.SIDE)
    figures = [f"{name}.png" for name in pictures]

    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    for stale in [*out.glob("confusion-*.png"), out / "saliency.png"]:  # perhaps of other arms
        stale.unlink(missing_ok=True)
    for name, picture in zip(figures, pictures.values(), strict=True):
        with files.atomic_path(out / name) as temporary:
            picture.save(temporary, "PNG")
    run_folder.write_csv(out / "comparison.csv", comparison_text.COLUMNS, comparison_text.csv_rows(compared))
    files.write_text(out / "comparison.md", comparison_text.markdown(compared, left_out, figures))
    files.write_text(out / "comparison.html", page)

    for table in (comparison_text.arms_table, comparison_text.differences_table, comparison_text.seeds_table):
        print("\n".join(tables.plain(table(compared))), end="\n\n")
    for line in left_out:
        print(f"left out: {line}")
    if why_no_maps:
        print(f"no maps: {why_no_maps}")
    sentences = [f"warning: {warning}" for warning in compared.warnings]
    for sentence in sentences + [comparison_text.verdict(difference) for difference in compared.differences]:
        print(wrapped(sentence))
    print(f"results: {out} (comparison.html, comparison.md, comparison.csv, {len(figures)} figures)")
    return 0


def confusion(arm: str) -> str:
    """The name of an arm's confusion matrix, as a file may have it."""
    return "confusion-" + re.sub(r"[^\w.=-]+", "_", arm)


def draw(compared: "Comparison") -> "dict[str, Image.Image]":
    """The report's figures 5 to 7 and the confusion matrices, by the names of their files."""
    import numpy as np

    from brushwork import drawing
    from brushwork.study import figures

    drawn = {
        "figure-5-validation-accuracy": figures.curves(compared.arms, ["val/accuracy"]),
        "figure-6-training-loss": figures.curves(compared.arms, ["train/loss"]),
        "figure-7-both": figures.curves(compared.arms, ["val/accuracy", "train/loss"]),
    }
    for arm, given in zip(compared.arms, compared.answers, strict=True):
        if given is None:
            continue
        names = sorted({*given.styles.tolist(), *given.predicted.ravel().tolist()})
        labels = np.tile(np.searchsorted(names, given.styles), len(arm.seeds))
        predicted = np.searchsorted(names, given.predicted).ravel()
        title = f"{arm.name}, last epoch of {len(arm.seeds)} run{'s' * (len(arm.seeds) > 1)}"
        drawn[confusion(arm.name)] = drawing.confusion_matrix(labels, predicted, names, title)
    return {name: drawing.as_picture(figure) for name, figure in drawn.items()}


def panel(compared: "Comparison") -> "tuple[list[list[Cell]], str]":
    """For a fixed panel of paintings each arm's map of the true style, all on one scale; or why there is none."""
    import numpy as np
    import torch
    from tqdm import tqdm

    from brushwork import contact_sheet, images, run_folder
    from brushwork.contact_sheet import Cell
    from brushwork.models import checkpoint
    from brushwork.saliency import maps
    from brushwork.saliency.display import render
    from brushwork.training import devices

    if not compared.same_paintings:
        return [], "the arms were scored on different paintings"
    answers, data, device = compared.answers[0], compared.arms[0].runs[0].config["data"], devices.choose("auto")
    root = Path(data["root"])
    if not root.is_dir():
        return [], f"there are no paintings at {root.resolve()}"
    chosen = sorted(contact_sheet.pick(answers.styles.tolist(), PANEL, seed=0))
    styles = answers.styles[chosen].tolist()
    columns, drawn = [], []
    try:
        pictures = [images.load_rgb(root / answers.paths[i], data["max_megapixels"]) for i in chosen]
        for arm in tqdm(compared.arms, desc="drawing maps", unit=" networks", leave=False, disable=None):
            predictor = checkpoint.load_predictor(arm.runs[0].folder / run_folder.BEST)
            batch = torch.stack([predictor.transform(picture) for picture in pictures])  # (paintings, 3, height, width)
            if not columns:
                titles = [f"{contact_sheet.title(answers.paths[i])}\n{answers.styles[i]}" for i in chosen]
                columns.append([Cell(predictor.shown(one), title) for one, title in zip(batch, titles, strict=True)])
            targets = torch.tensor([predictor.class_names.index(style) for style in styles], device=device)
            logits, saliency = maps.logits_and_saliency(predictor.network.to(device), batch.to(device), targets)
            probabilities = logits.softmax(1).cpu()
            captions = [
                f"{arm.name}: true {row[target]:.2f}\npredicted {row.max():.2f} {predictor.class_names[row.argmax()]}"
                for row, target in zip(probabilities, targets.tolist(), strict=True)
            ]
            drawn.append((saliency.cpu().numpy(), captions))
    except UserError as error:  # the paintings or the checkpoints may be on another machine
        return [], str(error)
    brightest = render.scale(np.concatenate([saliency.ravel() for saliency, _ in drawn]))
    for saliency, captions in drawn:
        columns.append(
            [Cell(render.picture(one, brightest), caption) for one, caption in zip(saliency, captions, strict=True)]
        )
    return [list(row) for row in zip(*columns, strict=True)], ""


if __name__ == "__main__":
    with exit_on_signals():
        exit_with(main)
