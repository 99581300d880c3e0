"""Which style is it? A trained network's answers for any pictures. python scripts/predict.py CHECKPOINT PICTURES..."""

import argparse
import dataclasses
import sys
from pathlib import Path

import installed  # noqa: F401
from brushwork import files
from brushwork.errors import UserError
from brushwork.terminal import count, exit_with, path, show_log

EPILOG = """\
examples:
  python scripts/predict.py logs/.../checkpoints/best.ckpt bacchus.jpg paintings/       a line a picture
  python scripts/predict.py best.ckpt 'paintings/**/*.jpg' --out answers                also answers/predictions.csv
  find paintings -name '*.jpg' -print0 | python scripts/predict.py best.ckpt - --out answers
  python scripts/predict.py best.ckpt paintings/ --out answers --resume                 goes on where it was stopped
  python scripts/predict.py best.ckpt paintings/ --json | jq .predicted                 an object a line
  python scripts/predict.py best.ckpt paintings/ --labels paintings/ --out answers      accuracy, worst mistakes
  python scripts/predict.py best.ckpt paintings/ --explain gradcam --similar 3 --out answers     and predictions.html
  python scripts/predict.py seed-0/checkpoints/best.ckpt paintings/ --ensemble seed-1/checkpoints/best.ckpt

predictions.csv begins path,predicted,probability,style_2,probability_2,...; a path is as given, or below its given
folder. Probabilities are calibrated where the checkpoint's run has fitted a temperature (--no-calibration: the
network's own, to the last bit those of the run's predictions.csv for the same pictures, batch size and device).
Files that can't be read are named, go into skipped.csv, and make the exit status 1; the others go on.

--labels takes a folder of style folders, in any form in which training takes it, or a table of files and styles.
"""


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="predict.py",
        description="Predict the styles of pictures with a trained network.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("checkpoint", type=files.expanded, metavar="CHECKPOINT", help="best.ckpt of a run")
    parse.add_argument(
        "pictures",
        nargs="+",
        type=path,
        metavar="PICTURES",
        help="files, folders, quoted globs, or - for a list on standard input",
    )
    parse.add_argument("--out", type=path, metavar="DIR", help="writes predictions.csv there; else nothing is written")
    parse.add_argument("--top", type=count, metavar="N", help="classes in the table (all)")
    parse.add_argument("--json", action="store_true", help="on standard output a JSON object a line, and nothing else")
    parse.add_argument("--no-calibration", action="store_true", help="the network's own probabilities")
    parse.add_argument(
        "--withhold",
        type=float,
        metavar="P",
        help="write 'not sure' below the probability from which the share P of answers was right in validation",
    )
    parse.add_argument("--labels", type=path, metavar="FOLDER|TABLE", help="the true styles: how good are the answers?")
    parse.add_argument("--explain", metavar="METHOD,...", help="saliency maps, see saliency.py --help: DIR/NAME.png")
    parse.add_argument("--similar", type=count, default=0, metavar="N", help="training paintings nearest to each")
    parse.add_argument(
        "--root", type=path, metavar="FOLDER", help="where the run's training paintings are (its data.root)"
    )
    parse.add_argument("--embed", choices=("npy", "parquet"), help="the features before the head: DIR/features.npy")
    parse.add_argument(
        "--ensemble",
        nargs="+",
        type=files.expanded,
        default=[],
        metavar="CHECKPOINT",
        help="more networks: the mean of all probabilities, and how far they agree",
    )
    parse.add_argument("--resume", action="store_true", help="continue in DIR where the same command was stopped")
    parse.add_argument("--overwrite", action="store_true", help="replace the results in DIR")
    parse.add_argument("--batch-size", type=count, metavar="N", help="bounds the memory (that of the run)")
    parse.add_argument("--max-megapixels", type=float, default=89, metavar="N", help="refuse larger (%(default)s)")
    parse.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    return parse


def main() -> int:
    arguments = parser().parse_intermixed_args()  # options may stand between the pictures
    show_log(sys.stderr if arguments.json else sys.stdout)
    for option in ("resume", "overwrite", "explain", "embed"):
        if getattr(arguments, option) and arguments.out is None:
            raise UserError(f"--{option} needs a folder for the results: --out DIR")

    # torch takes seconds to import, which --help and a mistyped option don't need.
    import torch

    from brushwork import photo_files
    from brushwork.inference.command import Command, Options
    from brushwork.models.predictor import load_predictor
    from brushwork.training import devices

    photos = photo_files.found(arguments.pictures, arguments.out)
    checkpoints = [Path(text) for text in (arguments.checkpoint, *arguments.ensemble)]
    predictors = [dataclasses.replace(load_predictor(path), name=str(path)) for path in checkpoints]
    device = devices.choose(arguments.device)
    devices.keep_freed_memory()
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # as in training
    for predictor in predictors:
        predictor.network.to(device)
    options = {field.name: getattr(arguments, field.name) for field in dataclasses.fields(Options)}
    return Command(predictors, checkpoints, photos, Options(**options)).run()


if __name__ == "__main__":
    exit_with(main)
