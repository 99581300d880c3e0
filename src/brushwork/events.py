"""Pictures and texts in TensorBoard; pictures as JPEG so that event files stay small."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

from brushwork import images
from brushwork.errors import UserError
from brushwork.readable import readable

QUALITY = 88  # of JPEG: a page of paintings at it takes a tenth of its PNG


def writers(loggers: Iterable[Any]) -> list[SummaryWriter]:
    """The TensorBoard writers of a Trainer's loggers; none in a fast_dev_run, or in DDP processes but the first."""
    found = [logger.experiment for logger in loggers if isinstance(logger, TensorBoardLogger)]
    return [writer for writer in found if isinstance(writer, SummaryWriter)]


def check_folder(folder: Path) -> None:
    """UserError where TensorBoard can't write: it opens files by UTF-8 names alone."""
    if (shown := readable(path := str(folder.absolute()), keep=path.encode("utf-8", "ignore").decode())) != path:
        raise UserError(f"TensorBoard can't write to {shown}, whose name is not UTF-8: choose another, or logger=none")


def add_picture(writer: SummaryWriter, tag: str, picture: Image.Image, step: int = 0) -> None:
    """Add a picture to the images of TensorBoard (`SummaryWriter.add_image` itself writes PNG)."""
    encoded = images.encoded(picture.convert("RGB"), "JPEG", QUALITY)
    tag = readable(tag)  # protocol buffers hold UTF-8 alone
    image = {"height": picture.height, "width": picture.width, "colorspace": 3, "encoded_image_string": encoded}
    writer.file_writer.add_summary(Summary(value=[{"tag": tag, "image": image}]), step)


def add_text(writer: SummaryWriter, tag: str, text: str, step: int = 0) -> None:
    """Add Markdown to the texts of TensorBoard; names in it may have any bytes."""
    writer.add_text(tag, readable(text, keep="\n"), step)
