"""The report's figures as PNG, from finished runs and photos: python scripts/figures.py RUNS... --photos PHOTO..."""

import argparse
import logging
from pathlib import Path

from PIL import Image

import installed  # noqa: F401
from brushwork import files
from brushwork.errors import UserError
from brushwork.terminal import exit_with, path, show_log

log = logging.getLogger("brushwork.scripts.figures")

EPILOG = """\
examples:
  python scripts/figures.py logs/demo
  python scripts/figures.py logs/wikiart --photos husky.jpg flamingo.jpg doberman.jpg teddy.jpg cat.jpg

writes figure-1-paintings.png, figure-2-architecture.png, figure-3-4-classifiers.png, figure-5-validation-accuracy.png,
figure-6-training-loss.png, figure-7-both.png; of runs that logged saliency, where-it-looks.png (do the maps change
in training?); and with --photos part-b-saliency.png
"""


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="figures.py",
        description="Draw the report's figures from finished runs and photos.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("runs", nargs="+", type=path, metavar="RUNS", help="run folders, or folders that hold some")
    parse.add_argument("--photos", nargs="*", default=[], type=path, help="photos for Part B, or folders of them")
    parse.add_argument(
        "--model", type=files.expanded, default="vgg16", help="whose maps to draw, as in saliency.py (%(default)s)"
    )
    parse.add_argument("--weights", type=files.expanded, help="as in saliency.py")
    parse.add_argument("--classes", type=path, metavar="FILE", help="as in saliency.py")
    parse.add_argument("--out", type=path, default=Path("logs/figures"), metavar="DIR", help="(%(default)s)")
    return parse


def main() -> int:
    arguments = parser().parse_args()
    show_log()

    # Seconds to import, which --help and a mistyped option don't need.
    from brushwork import contact_sheet, csv_files, drawing, photo_files, run_folder
    from brushwork.models import anatomy
    from brushwork.models.predictor import named_predictor
    from brushwork.saliency import photos
    from brushwork.saliency.display import sheet
    from brushwork.saliency.evaluation import agreement
    from brushwork.study import arms, figures, runs
    from brushwork.training import devices

    found = runs.find(arguments.runs)
    heads = sorted({run.head for run in found})
    log.info("%d runs of %s", len(found), " and ".join(heads))
    different = runs.differences(found)
    for key in different.keys() - {"head.name"}:
        log.warning("they differ in more than head and seed: %s is %s", key, " or ".join(sorted(different[key])))
    compared = arms.group(found)
    arguments.out.mkdir(parents=True, exist_ok=True)

    def save(name: str, picture: Image.Image) -> None:
        with files.atomic_path(arguments.out / name) as temporary:
            picture.save(temporary, "PNG")
        log.info("%s", arguments.out / name)

    model, data = found[0].config["model"], found[0].config["data"]
    paintings = [(row["path"], row["style"]) for row in csv_files.read(found[0].folder / run_folder.SPLIT)]
    try:
        page = contact_sheet.samples(Path(data["root"]), paintings, 2, data["max_megapixels"])
        save("figure-1-paintings.png", page)
    except UserError as error:  # they may be on another machine
        log.warning("no figure 1: %s", error)
    num_classes = len({style for _, style in paintings})
    for name, figure in [
        ("figure-2-architecture.png", anatomy.architecture(model["architecture"], data["image_size"])),
        ("figure-3-4-classifiers.png", anatomy.classifiers(model["architecture"], num_classes, data["image_size"])),
        *((f"{name}.png", figures.curves(compared, columns)) for name, columns in figures.CURVES.items()),
    ]:
        save(name, drawing.as_picture(figure))
    looking = [arm for arm in compared if all("previous" in runs.map_correlations(run) for run in arm.runs)]
    if looking:
        between_seeds = {}
        for arm in looking:
            if (share := max(map(runs.zero_maps, arm.runs))) > 0:
                log.warning(
                    "%s: up to %.0f%% of the maps are zero everywhere, and left out of the means", arm.name, 100 * share
                )
            panels, maps = zip(*map(runs.last_maps, arm.runs), strict=True)
            same = all(panel == panels[0] for panel in panels)
            if same and (value := agreement.between_networks(maps)) is not None:
                between_seeds[arm.name] = value
                log.info("%s: maps of two seeds after the last epoch: rank correlation %.2f", arm.name, value)
        save("where-it-looks.png", drawing.as_picture(figures.where_it_looks(looking, between_seeds)))
    problems = []
    if arguments.photos:
        paths = photo_files.find(arguments.photos)
        predictor = named_predictor(arguments.model, arguments.weights, arguments.classes)
        rows = []
        predictor.network.to(devices.choose("auto"))
        for photo in photos.explain(predictor, paths, None):
            if isinstance(photo, UserError):
                problems.append(photo)
                log.error("%s", photo)
                continue
            rows += sheet.cells(photo, predictor.class_names, top=3)
        if rows:
            save("part-b-saliency.png", sheet.page(rows))
    else:
        print("no figure of Part B: name photos (--photos, or make figures PHOTOS=...)")
    print(f"results: {arguments.out}")
    return 1 if problems else 0


if __name__ == "__main__":
    exit_with(main)
