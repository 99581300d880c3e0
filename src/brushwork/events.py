"""Pictures and texts to each logger that takes them; in TensorBoard pictures are JPEG, so that its files stay small."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

from brushwork import images
from brushwork.errors import UserError
from brushwork.readable import readable

QUALITY = 88  # of JPEG: a page of paintings at it takes a tenth of its PNG


def writing(loggers: Iterable[Logger]) -> list[Logger]:
    """The loggers of a Trainer that write: none in a fast_dev_run, or in DDP processes but the first."""
    if rank_zero_only.rank > 0:
        return []
    return [logger for logger in loggers if not isinstance(logger, DummyLogger)]


def check_folder(folder: Path) -> None:
    """UserError where TensorBoard can't write: it opens files by UTF-8 names alone."""
    if (shown := readable(path := str(folder.absolute()), keep=path.encode("utf-8", "ignore").decode())) != path:
        raise UserError(f"TensorBoard can't write to {shown}, whose name is not UTF-8: choose another, or logger=none")


def writer(logger: Logger) -> SummaryWriter | None:
    """TensorBoard's writer; None for another logger."""
    return logger.experiment if isinstance(logger, TensorBoardLogger) else None


def takes_pictures(logger: Logger) -> bool:
    """Whether `add_picture` knows how: TensorBoard, MLflow, and loggers that have wandb's `log_image`."""
    return isinstance(logger, TensorBoardLogger | MLFlowLogger) or hasattr(logger, "log_image")


def add_picture(logger: Logger | SummaryWriter, tag: str, picture: Image.Image, step: int = 0) -> None:
    """Add a picture to TensorBoard, or to a logger that takes pictures; another one is left alone."""
    picture, tag = picture.convert("RGB"), readable(tag)  # protocol buffers hold UTF-8 alone
    board = logger if isinstance(logger, SummaryWriter) else writer(logger)
    if board is not None:  # `SummaryWriter.add_image` itself writes PNG
        encoded = images.encoded(picture, "JPEG", QUALITY)
        image = {"height": picture.height, "width": picture.width, "colorspace": 3, "encoded_image_string": encoded}
        # Open again where a Trainer's fit has closed it, as all of `SummaryWriter`'s own methods do.
        board._get_file_writer().add_summary(Summary(value=[{"tag": tag, "image": image}]), step)
    elif isinstance(logger, MLFlowLogger):
        client: Any = logger.experiment
        client.log_image(logger.run_id, picture, key=tag, step=step)
    elif takes_pictures(logger):
        logger.log_image(key=tag, images=[picture], step=step)


def add_text(writer: SummaryWriter, tag: str, text: str, step: int = 0) -> None:
    """Add Markdown to the texts of TensorBoard; names in it may have any bytes."""
    writer.add_text(tag, readable(text, keep="\n"), step)
