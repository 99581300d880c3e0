"""What in a photo speaks for a class? python scripts/saliency.py PHOTO_OR_FOLDER..."""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from brushwork import files, run_folder, run_names
from brushwork.errors import UserError
from brushwork.terminal import count, exit_on_signals, exit_with, show_log, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from brushwork.models.predictor import Predictor
    from brushwork.saliency.display.results import Row
    from brushwork.saliency.evaluation.judgement import Judgement
    from brushwork.saliency.evaluation.objects import Truth
    from brushwork.saliency.photos import Photo

IN_TENSORBOARD = 200  # photos at most: TensorBoard is not made for thousands of pictures

EPILOG = """\
examples:
  python scripts/saliency.py husky.jpg flamingo.jpg             VGG-16, the predicted class (the report's Part B)
  python scripts/saliency.py photos/ --target "tabby"           what there looks like a tabby?
  python scripts/saliency.py paintings/ --model logs/.../checkpoints/best.ckpt --target Baroque
  python scripts/saliency.py photos/ --model squeezenet1_1 --weights squeezenet.pth
  python scripts/saliency.py photos/ --method gradient,gradcam  or all
  python scripts/saliency.py photos/ --out maps --resume        the same again goes on where it was stopped
  python scripts/saliency.py photos/ --box                      the object's outline and its box as well
  python scripts/saliency.py photos/ --method all --evaluate --gallery --truth boxes.csv

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

--evaluate: deletion, insertion and class contrast; where the objects of a photo are known, pointing, energy and, with
--box, the overlap of boxes; all beside a random map and a blob in the middle; and what is left of the maps when the
weights are drawn anew. What is known of a photo: boxes in --truth (pixels of the upright photo, a row a box), else
outlines in PHOTO.txt beside it (a line each: class x y x y ..., x and y from 0 to 1, as YOLO has them). Its class: in
--truth, else in its file's or folder's name (n02110185_Siberian_husky.JPEG, doberman.jpg, Baroque/bacchus.jpg).
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
    parse.add_argument("--method", default="gradient", metavar="NAME,...", help="or all: see below (%(default)s)")
    parse.add_argument("--box", action="store_true", help="find the object in the map by colour; needs OpenCV")
    parse.add_argument(
        "--evaluate", action="store_true", help="can the maps be believed? (a CPU takes minutes a photo)"
    )
    parse.add_argument(
        "--truth", type=Path, metavar="CSV", help="columns photo, class, left, top, right, bottom; see below"
    )
    parse.add_argument("--gallery", action="store_true", help="all on one page, DIR/gallery.html")
    parse.add_argument("--top", type=count, default=3, metavar="N", help="list so many classes (%(default)s)")
    parse.add_argument("--out", type=Path, metavar="DIR", help="default: a new folder in logs/saliency")
    parse.add_argument("--resume", action="store_true", help="go on in DIR where the same command was stopped")
    parse.add_argument("--overwrite", action="store_true", help="replace results that DIR already holds")
    parse.add_argument("--batch-size", type=count, default=8, metavar="N", help="bounds the memory (%(default)s)")
    parse.add_argument("--max-megapixels", type=float, default=89, metavar="N", help="refuse larger (%(default)s)")
    parse.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    return parse


def main() -> int:
    arguments = parser().parse_args()
    show_log()
    if arguments.resume and arguments.out is None:
        raise UserError("--resume needs the folder to go on in: --out DIR")
    resume = arguments.resume and not arguments.overwrite

    # torch takes seconds to import, which --help and a mistyped option don't need.
    from torch.utils.tensorboard import SummaryWriter
    from tqdm import tqdm

    from brushwork import events
    from brushwork.models import checkpoint
    from brushwork.saliency import methods, photos, segment
    from brushwork.saliency.display import gallery, results
    from brushwork.saliency.evaluation import evaluation, objects, sanity_report
    from brushwork.training import devices

    paths = photos.find(arguments.photos)
    predictor = checkpoint.named_predictor(arguments.model, arguments.weights)
    chosen = methods.named(arguments.method, predictor.network)
    if arguments.box:
        segment.opencv()
    target = None if arguments.target == "predicted" else predictor.class_index(arguments.target)
    truths = objects.known(paths, predictor, arguments.truth, outlines=arguments.evaluate)
    device = devices.choose(arguments.device)
    devices.keep_freed_memory()
    predictor.network.to(device)
    stems = photos.stems(paths)
    what = "-".join([Path(arguments.model).stem, "all" if arguments.method == "all" else "-".join(chosen)])
    out = arguments.out or Path(run_names.fresh_folder("logs/saliency", what))
    results.refuse_to_replace(out, stems, paths, arguments.overwrite, resume)
    out.mkdir(parents=True, exist_ok=True)
    about = {
        "model": predictor.name,
        "weights": weights.state_hash(predictor.network.state_dict()),
        "methods": chosen,
        "target": arguments.target,
        "box": arguments.box,
        "evaluate": arguments.evaluate,
        "truth": arguments.truth and files.sha256(arguments.truth),
        "photos": f"{len(paths)} photos ({files.short_hash([str(path) for path in paths])[:4]})",
    }

    refusal = f"another process writes to {out.resolve()}: wait for it, or choose another --out"
    with files.lock(out / results.LOCK, refusal), exit_on_signals():
        results.begin(out, about, resume)
        rows_a_photo = [*chosen, *evaluation.BASELINES] if arguments.evaluate else chosen
        before = results.finished(out, rows_a_photo) if resume else []
        done = {row["photo"] for row in before}
        left = [number for number, path in enumerate(paths) if str(path) not in done]
        if done:
            print(f"{len(done)} of {len(paths)} photos have their maps already")
        names, in_tensorboard, problems = predictor.class_names, before[: IN_TENSORBOARD * len(rows_a_photo)], 0
        width = min(30, max(len(path.name) for path in paths))
        target_title = "" if target is None else f"  {names[target]}"
        start = time.perf_counter()
        answers = photos.explain(
            predictor,
            [paths[number] for number in left],
            target,
            batch_size=arguments.batch_size,
            device=device,
            max_megapixels=arguments.max_megapixels,
            methods=chosen,
        )
        bar = tqdm(total=len(paths), initial=len(done), desc="saliency", unit=" photos", disable=None)
        with SummaryWriter(out) as writer, bar, results.table(out, before) as add:
            tqdm.write(f"{'photo':<{width}}{target_title}  predicted")
            for number, answer in zip(left, answers, strict=True):
                path, stem = paths[number], stems[number]
                try:
                    if isinstance(answer, UserError):
                        raise answer
                    photo = photos.Photo(number, path, stem, answer, truths[number].target)
                    photo = described(photo, truths[number], predictor, arguments, bar.set_postfix_str)
                except UserError as error:
                    tqdm.write(f"error: {error}", file=sys.stderr)
                    problems += 1
                    bar.update()
                    continue
                rows, picture = results.save(out, photo, names, arguments.top)
                add(rows)
                if len(in_tensorboard) < IN_TENSORBOARD * len(rows_a_photo):
                    events.add_picture(writer, f"saliency/{stem}", picture)
                    in_tensorboard += rows
                own = "" if target is None else f"  {photo.answer.probabilities[target]:>{len(target_title) - 2}.3f}"
                tqdm.write(f"{path.name[:width]:<{width}}{own}  {rows[0]['top']}")
                for note in photos.notes(photo):
                    tqdm.write(f"  {note}")
                bar.update()
            writer.add_text("photos", results.markdown(in_tensorboard))
            made, seconds = (len(left) - problems) * len(chosen), time.perf_counter() - start
        rows = run_folder.read_csv(out / results.TABLE) if arguments.evaluate or arguments.gallery else []
        judgement = None
        if arguments.evaluate and rows:
            if not (out / results.SANITY).exists():
                found = sanity_report.rows(predictor, rows, out, arguments.max_megapixels, arguments.batch_size)
                run_folder.write_csv(out / results.SANITY, sanity_report.COLUMNS, found)
            judgement = judge(rows, out)
        if arguments.gallery and rows:
            page = gallery.page(predictor, rows, out, arguments.max_megapixels, judgement)
            files.write_text(out / results.GALLERY, page)
    if len(paths) > IN_TENSORBOARD:
        print(f"TensorBoard shows the first {IN_TENSORBOARD} photos; all are in the folder")
    if problems:
        print(f"{problems} of {len(paths)} photos have no map: see the errors")
    rate = "" if arguments.evaluate else f", {made / seconds:.3g} a second"
    print(f"{made} maps of {predictor.name} on {device} by {', '.join(chosen)}{rate}")
    written = [results.TABLE, results.EVALUATION, results.CURVE, results.GALLERY]
    held = ["NAME.png", "NAME_METHOD.npy" if len(chosen) > 1 else "NAME.npy", *written]
    held = [name for name in held if name.startswith("NAME") or (out / name).exists()]
    print(f"results: {out} ({', '.join(held)}); look at it: tensorboard --logdir {out}")
    return 1 if problems else 0


def described(
    photo: "Photo",
    truth: "Truth",
    predictor: "Predictor",
    arguments: argparse.Namespace,
    progress: "Callable[[str], None]",
) -> "Photo":
    """The photo with all that is asked for.

    Raises:
        UserError: a box is beyond the photo.
    """
    from brushwork import images
    from brushwork.saliency import segment
    from brushwork.saliency.evaluation import evaluation, objects

    if arguments.box:
        maps = photo.answer.maps.items()
        photo = replace(photo, objects={method: segment.segment(photo.answer.seen, of) for method, of in maps})
    if not arguments.evaluate:
        return photo
    mask = None
    if truth.polygons or truth.boxes:
        mask = objects.mask(truth, images.load_rgb(photo.path, arguments.max_megapixels).size, predictor)
    return evaluation.evaluated(
        predictor.network,
        photo,
        mask,
        arguments.batch_size,
        lambda method: progress(f"{photo.path.name}: {method}"),
    )


def judge(rows: "list[Row]", out: Path) -> "Judgement":
    """Tell, and write, what the table's figures and the sanity check show."""
    from torch.utils.tensorboard import SummaryWriter

    from brushwork import drawing, events, tables
    from brushwork.saliency.display import results
    from brushwork.saliency.evaluation import judgement, sanity_report

    checked = run_folder.read_csv(out / results.SANITY)
    curve = drawing.as_picture(sanity_report.figure(checked))
    judged = judgement.Judgement(judgement.compare(rows), sanity_report.sentence(checked), curve)
    report = judgement.markdown(judged)
    files.write_text(out / results.EVALUATION, report)
    with files.atomic_path(out / results.CURVE) as temporary:
        curve.save(temporary, "PNG")
    with SummaryWriter(out) as writer:
        writer.add_text("evaluation", report)
        events.add_picture(writer, "saliency/sanity", curve)
    print("\n".join(tables.plain(judgement.table(judged.compared))), end="\n\n")
    for sentence in [judgement.METHOD, *judgement.sentences(judged.compared), judged.sanity]:
        print(wrapped(sentence))
    return judged


if __name__ == "__main__":
    exit_with(main)
