"""A trained network in other programs: ONNX, torch.export, safetensors. python scripts/export.py CHECKPOINT"""

import argparse
from pathlib import Path

import installed  # noqa: F401
from brushwork import files
from brushwork.errors import UserError
from brushwork.terminal import count, exit_on_signals, exit_with, path, show_log

EPILOG = """\
examples:
  python scripts/export.py logs/.../checkpoints/best.ckpt           all formats, into logs/.../export
  python scripts/export.py best.ckpt --format onnx --out onnx
  python scripts/export.py best.ckpt --half --quantize static       smaller files, and what they cost
  python scripts/export.py best.ckpt --push USER/NAME               on the Hugging Face hub; back by hf://USER/NAME

formats:
  onnx          model.onnx, by torch's exporter, for any batch size
  torch_export  model.pt2, for torch.export.load of the same version of torch, for any batch size
  safetensors   model.safetensors, the network's state dict, which torchvision loads too

Graphs take `pixels`, uint8 (batch, height, width, 3), RGB, resized to the network's size, and give `probabilities`,
calibrated, and `logits`; their metadata has class names, size and the way of resizing. Each format's answers are
compared with the checkpoint's on 32 pictures, and refused where a probability differs by more than 1e-4. README.md is a
model card with what was measured, config.json says all that the checkpoint does.
"""


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="export.py",
        description="Export a trained network for programs without Brushwork, and publish it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("checkpoint", type=path, metavar="CHECKPOINT", help="a run's best.ckpt, say")
    parse.add_argument("--out", type=path, metavar="DIR", help="default: export in the run folder")
    parse.add_argument("--format", action="append", metavar="NAME,...", help="default: all; see below")
    parse.add_argument("--opset", type=count, metavar="N", help="of ONNX (20)")
    parse.add_argument("--half", action="store_true", help="model_fp16.onnx as well, with float16 inside")
    parse.add_argument(
        "--quantize",
        choices=("dynamic", "static"),
        help="model_int8.onnx as well; static: with ranges of the run's training paintings, faster",
    )
    parse.add_argument("--data", type=path, metavar="ROOT", help="the run's paintings, if they were moved")
    parse.add_argument("--licence", "--license", default="other", metavar="ID", help="of the weights: apache-2.0, say")
    parse.add_argument("--push", metavar="USER/NAME", help="publish it on the Hugging Face hub (all but the .pt2)")
    parse.add_argument("--private", action="store_true", help="where --push makes a repository, nobody else sees it")
    parse.add_argument("--threads", type=count, metavar="N", help="of the measured times (torch's default)")
    return parse


def main() -> int:
    arguments = parser().parse_args()
    show_log()

    # torch takes seconds to import, which --help and a mistyped option don't need.
    import torch

    from brushwork import tables
    from brushwork.export import checks, folder, hub, program

    formats = [name for one in arguments.format or folder.FORMATS for name in one.split(",") if name]
    if arguments.push:
        if "safetensors" not in formats:
            raise UserError("--push needs the format by which hf://USER/NAME comes back: add safetensors to --format")
        hub.check(arguments.push)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    out = arguments.out or default_folder(arguments.checkpoint)
    choices = folder.Choices(
        formats=formats,
        opset=arguments.opset or program.OPSET,
        half=arguments.half,
        quantize=arguments.quantize,
        data=arguments.data,
        licence=arguments.licence,
        repository=arguments.push,
    )
    export = folder.write(arguments.checkpoint, out, choices)
    print("\n".join(["", *tables.plain(checks.table(export.formats))]), end="\n\n")
    print(f"compared on {export.pictures}; times on {torch.get_num_threads()} threads")
    if export.not_measured:
        print(f"what the smaller files cost in accuracy was not measured: {export.not_measured}")
    elif arguments.half or arguments.quantize:
        print("\n".join(["", *tables.plain(checks.costs(export.formats))]), end="\n\n")
    if arguments.push:
        print(f"published: {hub.push(out, arguments.push, arguments.private)}; back by hf://{arguments.push}")
    print(f"results: {out} ({', '.join(export.names)})")
    return 0


def default_folder(checkpoint: Path) -> Path:
    """`export` in the run folder, or beside a checkpoint that lies elsewhere."""
    from brushwork.models import published

    if published.on_hub(checkpoint):
        raise UserError(f"an export of {checkpoint} needs a folder: --out DIR")
    place = Path(files.expanded(checkpoint)).absolute().parent
    return (place.parent if place.name == "checkpoints" else place) / "export"


if __name__ == "__main__":
    with exit_on_signals():
        exit_with(main)
