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
    kept = data.known_fraction
    thin, limit, (val, test) = data.train_fraction, data.max_megapixels, data.fractions
    crop, jitter = data.augmentation.crop_scale, data.augmentation.color_jitter
    for key, value, is_valid, valid in [
        ("data.train_fraction", thin, 0 < thin <= 1, "above 0 and at most 1"),
        ("data.crop_scale", crop, 0 < crop <= 1, "above 0 and at most 1"),
        ("data.color_jitter", jitter, 0 <= jitter <= 1, "from 0 to 1"),
        ("split.val_fraction", val, 0 < val < 1, "between 0 and 1"),
        ("split.known_fraction", kept, kept is None or 0 < kept < 1, "between 0 and 1"),
        ("split.test_fraction", test, 0 <= test < 1 - val, f"from 0 to below {1 - val:g} (1 - split.val_fraction)"),
        ("data.max_megapixels", limit, 0 < limit <= 178, "above 0, at most 178 (Pillow's guard)"),
    ]:
        if not is_valid:
            raise UserError(f"expected {key} to be {valid}, but got {value:g}")
    check_folds(data, data.split)
    if data.split_file is not None and data.split not in ("auto", "given"):
        raise UserError(f"split.file={data.split_file} goes with split=given, not with split={data.split}")
    if unknown_keys := sorted({*(data.columns or ())} - {*NAMES}):
        raise unknown("key of data.columns", unknown_keys[0], NAMES)
    if data.styles is not None and not data.styles:
        raise UserError("data.styles is empty: name styles, or null for every folder")


def check_folds(data: "WikiArtDataModule", split: str) -> None:
    """Refuse folds and a known part that the split, by its name, or other settings don't go with."""
    if data.known_fraction is not None and split == "random":
        raise UserError(
            "split.known_fraction keeps paintings of known artists apart from those of unseen ones, and with "
            "split=random each part has known artists: leave it out, or use split=artist_disjoint"
        )
    if data.fold is None:
        return
    number, count = data.fold
    if count is None or number is None:
        given, other = ("split.fold", "split.folds=5") if count is None else ("split.folds", "split.fold=0")
        raise UserError(
            f"{given}={number if count is None else count} goes with {other}: add it, or run all folds with "
            f"python train.py -m experiment=folds"
        )
    if count < 2:
        raise UserError(f"expected split.folds to be at least 2, but got {count}")
    if not 0 <= number < count:
        raise UserError(f"expected split.fold to be from 0 to {count - 1} (split.folds={count}), but got {number}")
    if data.fractions.test:
        raise UserError(
            f"split.test_fraction={data.fractions.test:g} does not go with split.folds={count}, whose fold is the test "
            f"part: leave out one of them"
        )
    if split == "given" or data.split_file is not None:
        raise UserError(
            f"split.folds={count} does not go with parts that are given (split={data.split}): use "
            f"split=artist_disjoint or split=random"
        )
