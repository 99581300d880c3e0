"""Is the difference between two arms significant? python scripts/compare.py RUNS..."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import installed  # noqa: F401
from brushwork.errors import UserError
from brushwork.terminal import exit_on_signals, exit_with, path, show_log

if TYPE_CHECKING:
    from brushwork.contact_sheet import Cell
    from brushwork.study.comparison import Comparison

PANEL = 6  # paintings whose maps are drawn

EPILOG = """\
examples:
  python scripts/compare.py logs/demo                               both heads, all of their seeds
  python scripts/compare.py logs/wikiart logs/more_seeds --out logs/heads
  python scripts/compare.py logs/folds                              folds, pooled; also those of one arm
  python scripts/compare.py logs/rates --reference lr=0.01          the arm that the others are compared with

Runs that differ in their seed only form an arm. Compared is the accuracy of the last epoch: by seed (paired t test)
and by painting (bootstrap over artists, McNemar), corrected for the number of arms. Folds (experiment=folds) are
pooled: their test parts together have every painting once. Writes comparison.html,
comparison.md, comparison.csv and the figures as PNG.
"""


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="compare.py",
        description="Test whether the difference between arms of finished runs is significant.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("runs", nargs="+", type=path, metavar="RUNS", help="run folders, or folders that hold some")
    parse.add_argument("--reference", metavar="ARM", help="compare the others with it (default: the first by name)")
    parse.add_argument("--out", type=path, default=Path("logs/comparison"), metavar="DIR", help="(%(default)s)")
    return parse


def main() -> int:
    arguments = parser().parse_args()
    show_log()

    # Seconds to import, which --help and a mistyped option don't need.
    from brushwork.study import comparison

    compared = comparison.compare(arguments.runs, reference=arguments.reference)
    maps, why_no_maps = panel(compared)
    written = compared.write(arguments.out, maps, why_no_maps)
    print(compared)
    if why_no_maps:
        print(f"no maps: {why_no_maps}")
    print(f"results: {arguments.out} (comparison.html, comparison.md, comparison.csv, {len(written) - 3} figures)")
    return 0


def panel(compared: "Comparison") -> "tuple[list[list[Cell]], str]":
    """For a fixed panel of paintings each arm's map of the true style, all on one scale; or the reason for none."""
    import numpy as np
    import torch
    from tqdm import tqdm

    from brushwork import contact_sheet, images, run_folder
    from brushwork.contact_sheet import Cell
    from brushwork.models.predictor import load_predictor
    from brushwork.saliency import methods
    from brushwork.saliency.display import render
    from brushwork.study.predictions import read
    from brushwork.training import devices

    if not compared.same_paintings:
        return [], "the arms were scored on different paintings"
    if len({arm.runs[0].split for arm in compared.arms if arm.runs[0].folds}) > 1:
        return [], "the arms have different folds"
    first = compared.arms[0].runs[0]
    # Of folds those paintings that the first one's networks were not trained on.
    predictions = read([first.members[0]], first.part)
    data, device = first.config["data"], devices.choose("auto")
    root = Path(data["root"])
    if not root.is_dir():
        return [], f"there are no paintings at {root.resolve()}"
    pictures, problem = {}, None
    for i in sorted(contact_sheet.pick(predictions.styles.tolist(), PANEL, seed=0)):
        try:
            pictures[i] = images.load_rgb(root / predictions.paths[i], data["max_megapixels"])
        except UserError as error:
            problem = str(error)
    if problem and not pictures:
        return [], problem
    chosen = list(pictures)
    styles = predictions.styles[chosen].tolist()
    columns, drawn = [], []
    try:
        for arm in tqdm(compared.arms, desc="drawing maps", unit=" networks", leave=False, disable=None):
            predictor = load_predictor(arm.runs[0].folder / run_folder.BEST)
            batch = torch.stack(
                [predictor.transform(picture) for picture in pictures.values()]
            )  # (paintings, 3, height, width)
            if not columns:
                titles = [f"{contact_sheet.title(predictions.paths[i])}\n{predictions.styles[i]}" for i in chosen]
                columns.append([Cell(predictor.shown(one), title) for one, title in zip(batch, titles, strict=True)])
            targets = torch.tensor([predictor.class_names.index(style) for style in styles], device=device)
            network, batch = predictor.network.to(device), batch.to(device)
            logits, saliency, _ = methods.logits_and_maps(["gradient"], network, batch, targets)
            probabilities = logits.softmax(1).cpu()
            captions = [
                f"{arm.name}: true {row[target]:.2f}\npredicted {row.max():.2f} {predictor.class_names[row.argmax()]}"
                for row, target in zip(probabilities, targets.tolist(), strict=True)
            ]
            drawn.append((saliency["gradient"].cpu().numpy(), captions))
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
