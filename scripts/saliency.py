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

IN_TENSORBOARD = 200  # photos at most: TensorBoard is not made for thousands of pictures
TABLE = "maps.csv"
COLUMNS = ("photo", "picture", "map", "target", "target_probability", "predicted", "probability", "top")

EPILOG = """\
examples:
  python scripts/saliency.py husky.jpg flamingo.jpg             VGG-16, the predicted class (the report's Part B)
  python scripts/saliency.py photos/ --target "tabby"           what there looks like a tabby?
  python scripts/saliency.py paintings/ --model logs/.../checkpoints/best.ckpt --target Baroque
  python scripts/saliency.py photos/ --model squeezenet1_1 --weights squeezenet.pth

Each map is |d score / d pixel|, the largest over the channels (Simonyan et al. 2014, section 3), at the network's
input size. Pictures show it from 0 to its 99th percentile; the .npy file has it as it is.
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
    from brushwork.saliency import photos, render
    from brushwork.transfer import checkpoint, devices

    paths = photos.find(arguments.photos)
    predictor = checkpoint.named_predictor(arguments.model, arguments.weights)
    target = None if arguments.target == "predicted" else predictor.class_index(arguments.target)
    device = devices.choose(arguments.device)
    devices.keep_freed_memory()
    stems = photos.stems(paths)
    out = arguments.out or Path(run_folder.fresh("logs/saliency", Path(arguments.model).stem))
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
            )
            for answer in answers:
                bar.update()
                if isinstance(answer, UserError):
                    tqdm.write(f"error: {answer}", file=sys.stderr)
                    problems += 1
                    continue
                path, stem = paths[answer.number], stems[answer.number]
                picture = photos.page([photos.cells(path.name, answer, names, arguments.top)])
                save(out, stem, picture, answer.saliency)
                if len(rows) < IN_TENSORBOARD:
                    events.add_picture(writer, f"saliency/{stem}", picture)
                rows.append(row_of(answer, path, stem, names, arguments.top))
                own = "" if target is None else f"  {answer.probabilities[target]:>{len(target_title) - 2}.3f}"
                note = f"  ({defect})" if (defect := render.defect(answer.saliency)) else ""
                tqdm.write(f"{path.name[:width]:<{width}}{own}  {rows[-1]['top']}{note}")
        finally:  # also of what an interrupt cuts short
            run_folder.write_csv(out / TABLE, COLUMNS, rows)
            writer.add_text("photos", markdown(rows[:IN_TENSORBOARD]))
    if len(rows) > IN_TENSORBOARD:
        print(f"TensorBoard shows the first {IN_TENSORBOARD} photos; all are in the folder")
    if problems:
        print(f"{problems} of {len(paths)} photos have no map: see the errors")
    print(f"{len(rows)} maps of {predictor.name} on {device}, {len(rows) / (time.perf_counter() - start):.1f} a second")
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


def row_of(answer: "Explained", path: Path, stem: str, names: list[str], top: int) -> dict[str, str]:
    """A line of the table."""
    predicted = answer.top(1)[0]
    return {
        "photo": str(path),
        "picture": f"{stem}.png",
        "map": f"{stem}.npy",
        "target": names[answer.target],
        "target_probability": f"{answer.probabilities[answer.target]:.6f}",
        "predicted": names[predicted],
        "probability": f"{answer.probabilities[predicted]:.6f}",
        "top": ", ".join(f"{names[i]} {answer.probabilities[i]:.3f}" for i in answer.top(top)),
    }


def markdown(rows: list[dict[str, str]]) -> str:
    """The table for TensorBoard's text."""
    columns = ("photo", "predicted", "probability", "target", "target_probability")
    lines = [[Path(row["photo"]).name, *(row[column] for column in columns[1:])] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [columns, ["---"] * len(columns), *lines])


if __name__ == "__main__":
    exit_with(main)
