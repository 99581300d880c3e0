"""Checks of a data module's arguments, before anything is read."""

from typing import TYPE_CHECKING

from brushwork.errors import UserError, unknown
from brushwork.paintings import splits
from brushwork.paintings.table import NAMES

if TYPE_CHECKING:
    from brushwork.paintings.datamodule import WikiArtDataModule


def check(data: "WikiArtDataModule") -> None:
    """Refuse unknown names and values out of range: names the setting, as train.py has it, and what is valid."""
    for key, value, valid in [
        ("split", data.split, splits.SPLITS),
        ("data.resize", data.resize, ("squash", "crop", "pad", None)),
        ("data.on_bad_image", data.on_bad_image, ("raise", "skip")),
        ("data.class_weights", data.class_weights, ("balanced", None)),
    ]:
        if value not in valid:
            raise unknown(key, value, [name or "null" for name in valid])
    for key, value, least in [
        ("split.seed", data.split_seed, 0),
        ("data.batch_size", data.batch_size, 1),
        ("data.workers", data.workers, 0),
        ("data.limit_per_style", data.limit_per_style, 2),
        ("data.paint_demo", data.paint_demo, 2),
        ("data.image_size", data.image_size, 1),
    ]:
        if value is not None and value < least:
            raise UserError(f"expected {key} to be at least {least}, but got {value}")
    thin, limit, (val, test) = data.train_fraction, data.max_megapixels, data.fractions
    crop, jitter = data.augmentation.crop_scale, data.augmentation.color_jitter
    for key, value, is_valid, valid in [
        ("data.train_fraction", thin, 0 < thin <= 1, "above 0 and at most 1"),
        ("data.crop_scale", crop, 0 < crop <= 1, "above 0 and at most 1"),
        ("data.color_jitter", jitter, 0 <= jitter <= 1, "from 0 to 1"),
        ("split.val_fraction", val, 0 < val < 1, "between 0 and 1"),
        ("split.test_fraction", test, 0 <= test < 1 - val, f"from 0 to below {1 - val:g} (1 - split.val_fraction)"),
        ("data.max_megapixels", limit, 0 < limit <= 178, "above 0, at most 178 (Pillow's guard)"),
    ]:
        if not is_valid:
            raise UserError(f"expected {key} to be {valid}, but got {value:g}")
    if data.split_file is not None and data.split not in ("auto", "given"):
        raise UserError(f"split.file={data.split_file} goes with split=given, not with split={data.split}")
    if unknown_keys := sorted({*(data.columns or ())} - {*NAMES}):
        raise unknown("key of data.columns", unknown_keys[0], NAMES)
    if data.styles is not None and not data.styles:
        raise UserError("data.styles is empty: name styles, or null for every folder")
