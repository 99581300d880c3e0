"""Saliency maps: what in a photo supports a class. python scripts/saliency.py PHOTO_OR_FOLDER..."""

import argparse
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import installed  # noqa: F401
from brushwork import csv_files, files, run_names
from brushwork.errors import UserError
from brushwork.readable import readable
from brushwork.terminal import count, exit_on_signals, exit_with, path, show_log, wrapped

if TYPE_CHECKING:
    from brushwork.models.predictor import Predictor
    from brushwork.saliency.evaluation.annotations import Annotation

IN_TENSORBOARD = 200  # photos at most: TensorBoard is not made for thousands of pictures

EPILOG = """\
examples:
  python scripts/saliency.py husky.jpg flamingo.jpg             VGG-16, the predicted class (the report's Part B)
  python scripts/saliency.py photos/ --target "tabby"           evidence for a tabby
  python scripts/saliency.py paintings/ --model logs/.../checkpoints/best.ckpt --target Baroque
  python scripts/saliency.py photos/ --model squeezenet1_1 --weights squeezenet.pth
  python scripts/saliency.py photos/ --model alexnet --weights places365.pth --classes categories.txt
  python scripts/saliency.py photos/ --target n02123045         WordNet's number, or any synonym of ImageNet's names
  python scripts/saliency.py photos/ --method gradient,gradcam  or all
  python scripts/saliency.py photos/ --out maps --resume        the same command resumes where it was stopped
  python scripts/saliency.py photos/ --box                      the object's outline and its box as well
  python scripts/saliency.py photos/ --method all --evaluate --gallery --truth boxes.csv

methods, and passes through the network for a map:
  gradient              1    |d score / d pixel|, the largest over the channels (Simonyan et al. 2014, section 3)
  smoothgrad            50   the gradient's mean over noisy copies (Smilkov et al. 2017)
  input_x_gradient      1    pixel times gradient, the channels added up (Shrikumar et al. 2016)
  integrated_gradients  50   the same, with the mean gradient from the mean colour on (Sundararajan et al. 2017)
  guided_backprop       1    ReLUs pass back what is positive only (Springenberg et al. 2015); networks of ReLUs
  gradcam               1    the last layer's spatial maps, weighted (Selvaraju et al. 2017); of ViTs the patches
  occlusion             169  the fall of the score when a square covers the place (Zeiler and Fergus 2014)

Maps have the network's input size. Pictures show them from 0 to their 99th percentile; the .npy file has the values.
Boxes are in pixels of the network's input (Simonyan et al. 2014, section 3.2).

--evaluate: deletion, insertion and class contrast; for photos with annotated objects also pointing, energy and, with
--box, the overlap of boxes; all compared with a random map and a centred Gaussian; and a sanity check, which compares
the maps before and after the weights are redrawn. Annotations of a photo: boxes in --truth (pixels of the upright
photo, a row a box), else outlines in PHOTO.txt beside it (YOLO's format, a line each: class x y x y ..., x and y from 0
to 1). Its class: in --truth, else from its file's or folder's name (n02110185_Siberian_husky.JPEG, doberman.jpg,
Baroque/bacchus.jpg).
"""


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="saliency.py",
        description="Draw image-class saliency maps of photos: DIR/NAME.png, DIR/NAME.npy, a table, and TensorBoard.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("photos", nargs="+", type=path, metavar="PHOTO_OR_FOLDER")
    parse.add_argument(
        "--model",
        type=files.expanded,
        default="vgg16",
        help="a torchvision classifier, or our checkpoint (%(default)s)",
    )
    parse.add_argument(
        "--weights",
        type=files.expanded,
        help="imagenet (default), a name of torchvision's, the path of a file, or null (random)",
    )
    parse.add_argument("--classes", type=path, metavar="FILE", help="names of the classes, one a line")
    parse.add_argument(
        "--target", default="predicted", metavar="NAME|INDEX|predicted", help="the class of the map: any name"
    )
    parse.add_argument("--method", default="gradient", metavar="NAME,...", help="or all: see below (%(default)s)")
    parse.add_argument("--box", action="store_true", help="find the object in the map by colour; needs OpenCV")
    parse.add_argument(
        "--evaluate", action="store_true", help="how trustworthy are the maps? (a CPU takes minutes a photo)"
    )
    parse.add_argument(
        "--truth", type=path, metavar="CSV", help="columns photo, class, left, top, right, bottom; see below"
    )
    parse.add_argument("--gallery", action="store_true", help="all on one page, DIR/gallery.html")
    parse.add_argument("--top", type=count, default=3, metavar="N", help="classes to list (%(default)s)")
    parse.add_argument("--out", type=path, metavar="DIR", help="default: a new folder in logs/saliency")
    parse.add_argument("--resume", action="store_true", help="continue in DIR where the same command was stopped")
    parse.add_argument("--overwrite", action="store_true", help="replace the results in DIR")
    parse.add_argument("--batch-size", type=count, default=8, metavar="N", help="bounds the memory (%(default)s)")
    parse.add_argument("--max-megapixels", type=float, default=89, metavar="N", help="refuse larger (%(default)s)")
    parse.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    return parse


def main() -> int:
    arguments = parser().parse_args()
    show_log()
    if arguments.resume and arguments.out is None:
        raise UserError("--resume needs the folder to go on in: --out DIR")

    # torch takes seconds to import, which --help and a mistyped option don't need.
    from brushwork import events, photo_files, result_folder, tables
    from brushwork.models.predictor import named_predictor
    from brushwork.models.weights import state_hash
    from brushwork.saliency import methods, segment
    from brushwork.saliency.display import gallery, results
    from brushwork.saliency.evaluation import annotations, report
    from brushwork.training import devices

    paths = photo_files.find(arguments.photos, arguments.out)
    predictor = named_predictor(arguments.model, arguments.weights, arguments.classes)
    chosen = methods.named(arguments.method, predictor.network)
    if arguments.box:
        segment.opencv()
    target = None if arguments.target == "predicted" else predictor.class_index(arguments.target)
    annotated = annotations.read(paths, predictor, arguments.truth, outlines=arguments.evaluate)
    device = devices.choose(arguments.device)
    devices.keep_freed_memory()
    predictor.network.to(device)
    what = "-".join([Path(arguments.model).stem, "all" if arguments.method == "all" else "-".join(chosen)])
    out = arguments.out or Path(run_names.fresh_folder("logs/saliency", what))
    events.check_folder(out)
    resume = arguments.resume and not arguments.overwrite
    results.refuse_to_replace(out, photo_files.stems(paths), paths, arguments.overwrite, resume)
    out.mkdir(parents=True, exist_ok=True)
    about = {
        "model": predictor.name,
        "weights": state_hash(predictor.network.state_dict()),
        "methods": chosen,
        "target": arguments.target,
        "box": arguments.box,
        "evaluate": arguments.evaluate,
        "truth": arguments.truth and files.sha256(arguments.truth),
        "photos": f"{len(paths)} photos ({files.short_hash([str(path) for path in paths])[:4]})",
    }
    refusal = f"another process writes to {out.resolve()}: wait for it, or choose another --out"
    with files.lock(out / result_folder.LOCK, refusal), exit_on_signals():
        results.begin(out, about, resume)
        start = time.perf_counter()
        made, problems = draw(arguments, predictor, paths, annotated, target, chosen, out, resume)
        rate = "" if arguments.evaluate else f", {made * len(chosen) / (time.perf_counter() - start):.3g} a second"
        rows, evaluation = csv_files.read(out / results.TABLE), None
        if arguments.evaluate and rows:
            evaluation = results.evaluate(out, predictor, arguments.max_megapixels, arguments.batch_size)
            print("\n".join(tables.plain(report.table(evaluation.comparisons))), end="\n\n")
            for sentence in [report.METHOD, *report.sentences(evaluation.comparisons), evaluation.sanity]:
                print(wrapped(sentence))
        if arguments.gallery and rows:
            page = gallery.page(predictor, rows, out, arguments.max_megapixels, evaluation)
            files.write_text(out / results.GALLERY, page)
    if len(paths) > IN_TENSORBOARD:
        print(f"TensorBoard shows the first {IN_TENSORBOARD} photos; all are in the folder")
    if problems:
        print(f"{problems} of {len(paths)} photos have no map: see the errors")
    print(f"{made * len(chosen)} maps of {predictor.name} on {device} by {', '.join(chosen)}{rate}")
    written = [results.TABLE, results.EVALUATION, results.CURVE, results.GALLERY]
    listed = ["NAME.png", "NAME_METHOD.npy" if len(chosen) > 1 else "NAME.npy"]
    listed += [name for name in written if (out / name).exists()]
    print(f"results: {out} ({', '.join(listed)}); look at it: tensorboard --logdir {shlex.quote(str(out))}")
    return 1 if problems else 0


def draw(
    arguments: argparse.Namespace,
    predictor: "Predictor",
    paths: list[Path],
    annotated: "list[Annotation]",
    target: int | None,
    chosen: list[str],
    out: Path,
    resume: bool,
) -> tuple[int, int]:
    """The maps of all photos that have none yet; how many photos got theirs, and how many can't."""
    from torch.utils.tensorboard import SummaryWriter
    from tqdm import tqdm

    from brushwork import events, photo_files
    from brushwork.saliency import photos, segment
    from brushwork.saliency.display import results, sheet
    from brushwork.saliency.evaluation import scores

    methods = [*chosen, *scores.BASELINES] if arguments.evaluate else chosen
    before = results.restart_table(out, methods, resume)
    done = {row["photo"] for row in before}
    left = [number for number, path in enumerate(paths) if str(path) not in done]
    if done:
        print(f"{len(done)} of {len(paths)} photos have their maps already")
    stems, names, problems = photo_files.stems(paths), predictor.class_names, 0
    in_tensorboard = before[: IN_TENSORBOARD * len(methods)]  # rows
    width = min(30, max(len(path.name) for path in paths))
    target_title = "" if target is None else f"  {names[target]}"
    explained = photos.explain(
        predictor,
        [paths[number] for number in left],
        target,
        batch_size=arguments.batch_size,
        max_megapixels=arguments.max_megapixels,
        methods=chosen,
    )
    bar = tqdm(total=len(paths), initial=len(done), desc="saliency", unit=" photos", disable=None)
    with SummaryWriter(out) as writer, bar:
        tqdm.write(f"{'photo':<{width}}{target_title}  predicted")
        for number, photo in zip(left, explained, strict=True):
            try:
                if isinstance(photo, UserError):
                    raise photo
                photo = replace(photo, number=number, stem=stems[number], true=annotated[number].target)
                if arguments.box:
                    found = {method: segment.segment(photo.shown, of) for method, of in photo.maps.items()}
                    photo = replace(photo, objects=found)
                if arguments.evaluate:
                    options = {"batch_size": arguments.batch_size, "max_megapixels": arguments.max_megapixels}
                    found = scores.evaluate(predictor, photo, annotated[number], bar.set_postfix_str, **options)
                    photo = replace(photo, scores=found)
            except UserError as error:
                tqdm.write(f"error: {readable(str(error))}", file=sys.stderr)
                problems += 1
                bar.update()
                continue
            rows, picture = results.save(out, photo, names, arguments.top)
            if len(in_tensorboard) < IN_TENSORBOARD * len(methods):
                events.add_picture(writer, f"saliency/{photo.stem}", picture)
                in_tensorboard += rows
            own = "" if target is None else f"  {photo.probabilities[target]:>{len(target_title) - 2}.3f}"
            tqdm.write(f"{readable(photo.path.name)[:width]:<{width}}{own}  {readable(rows[0]['top'])}")
            for note in sheet.notes(photo):
                tqdm.write(f"  {note}")
            bar.update()
        events.add_text(writer, "photos", results.markdown(in_tensorboard))
    return len(left) - problems, problems


if __name__ == "__main__":
    exit_with(main)
