"""What in a photo speaks for a class? python scripts/saliency.py PHOTO_OR_FOLDER..."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from brushwork import files, run_folder
from brushwork.errors import UserError
from brushwork.terminal import count, exit_on_signals, exit_with, show_log

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from brushwork.saliency.photos import Explained
    from brushwork.saliency.segment import Segment

IN_TENSORBOARD = 200  # photos at most: TensorBoard is not made for thousands of pictures
TABLE = "maps.csv"
COLUMNS = ("photo", "picture", "map", "method", "target", "target_probability", "predicted", "probability", "top")
COMPLETENESS = ("completeness_error", "score_rise")  # of integrated gradients
BOX = ("box_left", "box_top", "box_right", "box_bottom")

EPILOG = """\
examples:
  python scripts/saliency.py husky.jpg flamingo.jpg             VGG-16, the predicted class (the report's Part B)
  python scripts/saliency.py photos/ --target "tabby"           what there looks like a tabby?
  python scripts/saliency.py paintings/ --model logs/.../checkpoints/best.ckpt --target Baroque
  python scripts/saliency.py photos/ --model squeezenet1_1 --weights squeezenet.pth
  python scripts/saliency.py photos/ --method gradcam
  python scripts/saliency.py photos/ --box                      the object's outline and its box as well

methods, and passes through the network for a map:
  gradient              1    |d score / d pixel|, the largest over the channels (Simonyan et al. 2014, section 3)
  smoothgrad            50   the gradient's mean over noisy copies (Smilkov et al. 2017)
  input_x_gradient      1    pixel times gradient, the channels added up (Shrikumar et al. 2016)
  integrated_gradients  50   the same, with the mean gradient on the way from the mean colour (Sundararajan et al. 2017)
  guided_backprop       1    ReLUs pass back what is positive only (Springenberg et al. 2015); networks of ReLUs
  gradcam               1    the last layer's spatial maps, weighted (Selvaraju et al. 2017); no vision transformers
  occlusion             169  the fall of the score when a square covers the place (Zeiler and Fergus 2014)

Maps have the network's input size. Pictures show them from 0 to their 99th percentile; the .npy file has them as they
are. Boxes are in pixels of the photo as the network saw it (Simonyan et al. 2014, section 3.2).
"""


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="saliency.py",
        description="Draw image-class saliency maps of photos: DIR/NAME.png, DIR/NAME.npy, a table, and TensorBoard.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("photos", nargs="+", type=Path, metavar="PHOTO_OR_FOLDER")
    parse.add_argument("--model", default="vgg16", help="a torchvision classifier, or our checkpoint (%(default)s)")
    parse.add_argument(
        "--weights", help="imagenet (default), a name of torchvision's, a state dict's path, or null (random)"
    )
    parse.add_argument("--target", default="predicted", metavar="NAME|INDEX|predicted", help="the class of the map")
    parse.add_argument("--method", default="gradient", metavar="NAME", help="see below (%(default)s)")
    parse.add_argument("--box", action="store_true", help="find the object in the map by colour; needs OpenCV")
    parse.add_argument("--top", type=count, default=3, metavar="N", help="list so many classes (%(default)s)")
    parse.add_argument("--out", type=Path, metavar="DIR", help="default: a new folder in logs/saliency")
    parse.add_argument("--overwrite", action="store_true", help="replace results that DIR already holds")
    parse.add_argument("--batch-size", type=count, default=8, metavar="N", help="bounds the memory (%(default)s)")
    parse.add_argument("--max-megapixels", type=float, default=89, metavar="N", help="refuse larger (%(default)s)")
    parse.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    return parse


def main() -> int:
    arguments = parser().parse_args()
    show_log()

    # torch takes seconds to import, which --help and a mistyped option don't need.
    from torch.utils.tensorboard import SummaryWriter
    from tqdm import tqdm

    from brushwork import events
    from brushwork.saliency import methods, photos, render, segment
    from brushwork.transfer import checkpoint, devices

    paths = photos.find(arguments.photos)
    predictor = checkpoint.named_predictor(arguments.model, arguments.weights)
    methods.check(arguments.method, predictor.network, "--method")
    if arguments.box:
        segment.opencv()
    target = None if arguments.target == "predicted" else predictor.class_index(arguments.target)
    device = devices.choose(arguments.device)
    devices.keep_freed_memory()
    stems = photos.stems(paths)
    out = arguments.out or Path(run_folder.fresh("logs/saliency", f"{Path(arguments.model).stem}_{arguments.method}"))
    refuse_to_replace(out, stems, paths, arguments.overwrite)
    out.mkdir(parents=True, exist_ok=True)

    names, rows, problems = predictor.class_names, [], 0
    width = min(30, max(len(path.name) for path in paths))
    target_title = "" if target is None else f"  {names[target]}"
    start = time.perf_counter()
    bar = tqdm(total=len(paths), desc="saliency", unit=" maps", disable=None)
    tqdm.write(f"{'photo':<{width}}{target_title}  predicted")
    with exit_on_signals(), SummaryWriter(out) as writer, bar:
        try:
            answers = photos.explain(
                predictor,
                paths,
                target,
                batch_size=arguments.batch_size,
                device=device,
                max_megapixels=arguments.max_megapixels,
                method=arguments.method,
            )
            for answer in answers:
                bar.update()
                if isinstance(answer, UserError):
                    tqdm.write(f"error: {answer}", file=sys.stderr)
                    problems += 1
                    continue
                path, stem = paths[answer.number], stems[answer.number]
                found = segment.segment(answer.seen, answer.saliency) if arguments.box else None
                picture = photos.page([photos.cells(path.name, answer, names, arguments.top, found)])
                save(out, stem, picture, answer.saliency)
                if len(rows) < IN_TENSORBOARD:
                    events.add_picture(writer, f"saliency/{stem}", picture)
                rows.append(row_of(answer, path, stem, names, arguments.top, found))
                own = "" if target is None else f"  {answer.probabilities[target]:>{len(target_title) - 2}.3f}"
                notes = [
                    render.defect(answer.saliency),
                    answer.completeness and render.completeness(*answer.completeness),
                    "box " + " ".join(map(str, found.box)) if found else arguments.box and "no object found",
                ]
                note = "".join(f"  ({note})" for note in notes if note)
                tqdm.write(f"{path.name[:width]:<{width}}{own}  {rows[-1]['top']}{note}")
        finally:  # also of what an interrupt cuts short
            run_folder.write_csv(out / TABLE, columns(arguments.method, arguments.box), rows)
            writer.add_text("photos", markdown(rows[:IN_TENSORBOARD]))
    if len(rows) > IN_TENSORBOARD:
        print(f"TensorBoard shows the first {IN_TENSORBOARD} photos; all are in the folder")
    if problems:
        print(f"{problems} of {len(paths)} photos have no map: see the errors")
    rate = len(rows) / (time.perf_counter() - start)
    print(f"{len(rows)} maps of {predictor.name} on {device} by {arguments.method}, {rate:.3g} a second")
    print(f"results: {out} (NAME.png, NAME.npy, {TABLE}); look at it: tensorboard --logdir {out}")
    return 1 if problems else 0


def refuse_to_replace(out: Path, stems: list[str], paths: list[Path], overwrite: bool) -> None:
    """Nothing is overwritten in silence, and no photo ever."""
    photos = {path.resolve() for path in paths}
    for stem in stems:
        if (out / f"{stem}.png").resolve() in photos:
            raise UserError(f"{out / stem}.png is one of the photos: choose another --out")
    if overwrite:
        return
    existing = [stem for stem in stems if (out / f"{stem}.png").exists() or (out / f"{stem}.npy").exists()]
    if existing:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise UserError(f"{out.resolve()} holds {existing[0]}.png{more} already: choose another --out, or --overwrite")
    if (out / TABLE).exists():
        raise UserError(f"{out.resolve()} holds {TABLE} of other photos: choose another --out, or --overwrite")


def save(folder: Path, stem: str, picture: "Image.Image", saliency: "np.ndarray") -> None:
    """Write NAME.png and NAME.npy, each whole or not at all."""
    import numpy as np

    with files.atomic_path(folder / f"{stem}.png") as temporary:
        picture.save(temporary, "PNG", compress_level=2)  # half of all time went into level 6
    with files.atomic_path(folder / f"{stem}.npy") as temporary, open(temporary, "wb") as file:
        np.save(file, saliency)


def columns(method: str, box: bool) -> tuple[str, ...]:
    """Of the table; a box's stay empty where there is none."""
    return COLUMNS + (COMPLETENESS if method == "integrated_gradients" else ()) + (BOX if box else ())


def row_of(
    answer: "Explained", path: Path, stem: str, names: list[str], top: int, found: "Segment | None"
) -> dict[str, str]:
    """A line of the table."""
    predicted = answer.top(1)[0]
    exact = () if answer.completeness is None else (f"{value:.6g}" for value in answer.completeness)
    return {
        "photo": str(path),
        "picture": f"{stem}.png",
        "map": f"{stem}.npy",
        "method": answer.method,
        "target": names[answer.target],
        "target_probability": f"{answer.probabilities[answer.target]:.6f}",
        "predicted": names[predicted],
        "probability": f"{answer.probabilities[predicted]:.6f}",
        "top": ", ".join(f"{names[i]} {answer.probabilities[i]:.3f}" for i in answer.top(top)),
        **dict(zip(COMPLETENESS, exact, strict=False)),
        **dict(zip(BOX, map(str, found.box if found else ()), strict=False)),
    }


def markdown(rows: list[dict[str, str]]) -> str:
    """The table for TensorBoard's text."""
    columns = ("photo", "predicted", "probability", "target", "target_probability")
    lines = [[Path(row["photo"]).name, *(row[column] for column in columns[1:])] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [columns, ["---"] * len(columns), *lines])


if __name__ == "__main__":
    exit_with(main)
