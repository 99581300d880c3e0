"""timm's networks: their names, where their weights are, sizes of pictures, and how they are built.

timm (pip install '.[timm]') is imported when one of them is asked for. Names are timm's own, with the tag of the
pretrained weights or without: "vit_small_patch14_dinov2.lvd142m".
"""

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from brushwork.errors import UserError, one_line, unknown
from brushwork.models.modes import without_memory
from brushwork.preprocessing import Preprocessing

PREFIX = "timm:"
WEIGHTS = ["pretrained", "imagenet"]  # names of the weights of a network's tag; the second is every network's default


class Source(NamedTuple):
    """Where published weights are: files of a repository of the Hugging Face hub, any of which will do, or a URL."""

    repository: str | None
    files: list[str]
    url: str | None


def library() -> Any:
    """timm, which is an extra."""
    try:
        import timm
    except ImportError:
        raise UserError("networks of timm need timm: pip install '.[timm]'") from None
    return timm


def is_one(network: nn.Module) -> bool:
    """Whether a network was built by timm."""
    return hasattr(network, "pretrained_cfg") and hasattr(network, "reset_classifier")


def check(name: str, setting: str = "model.architecture") -> None:
    """Refuse an unknown network or tag, with the nearest name."""
    timm = library()
    base, _, tag = name.partition(".")
    if not timm.is_model(base):
        raise unknown(setting, PREFIX + name, [PREFIX + known for known in timm.list_models()])
    tags = timm.list_pretrained(f"{base}.*") if tag else []
    if tag and name not in tags:
        raise unknown(setting, PREFIX + name, [PREFIX + known for known in tags])


def knows(name: str) -> bool:
    """Whether a name without prefix is one of timm's; False where timm is not installed."""
    try:
        return library().is_model(name.partition(".")[0])
    except UserError:
        return False


def config(name: str) -> Any:
    """timm's record of a network's weights and of the pictures that they were trained on."""
    check(name)
    found = library().models.get_pretrained_cfg(name)
    if found is None:
        raise UserError(f"{PREFIX}{name}: timm has no weights and no size of pictures for it: choose another network")
    if found.input_size[0] != 3:
        raise UserError(f"{PREFIX}{name} takes pictures of {found.input_size[0]} channels: choose one for RGB")
    return found


def source(name: str) -> Source | None:
    """Where the weights of the network's tag are; None where it has none."""
    found = config(name)
    if not (found.hf_hub_id or found.url):
        return None
    written = found.hf_hub_filename or "pytorch_model.bin"
    safe = written.replace("pytorch_model.bin", "model.safetensors")
    return Source(found.hf_hub_id or None, list(dict.fromkeys([safe, written])), found.url or None)


def smallest_size(name: str, image_size: int | None = None) -> int:
    """Pixels a side of the smallest picture that the network takes, as it is built for `image_size`."""
    found = config(name)
    own = found.input_size[-1]
    if found.fixed_input_size:
        return image_size or own
    return min(own, max(found.min_input_size[1:]) if found.min_input_size else 32)


def preprocessing(name: str, image_size: int | None = None, resize: str = "squash") -> Preprocessing:
    """See `backbones.preprocessing`; of a transformer the size is a multiple of its patch."""
    found = config(name)
    own = found.input_size[-1]
    size = own if image_size is None else image_size
    if not found.fixed_input_size and size < (smallest := smallest_size(name)):
        raise UserError(f"data.image_size={size} is too small for {name}: it needs at least {smallest} pixels a side")
    if size != own and found.fixed_input_size:
        patch = _patch(name)
        if patch and (size % patch or size < patch):
            near = [multiple for multiple in (size // patch * patch, (size // patch + 1) * patch) if multiple]
            raise UserError(
                f"data.image_size={size}: {name} cuts pictures into patches of {patch} pixels: use a multiple, "
                f"{' or '.join(map(str, near))}"
            )
        if problem := _problem(name, size):
            raise UserError(f"data.image_size={size}: {name} can't be built for it ({problem}): its own size is {own}")
    return Preprocessing(size, tuple(found.mean), tuple(found.std), resize)


@functools.cache
def _patch(name: str) -> int | None:
    """The side of a transformer's patches in pixels."""
    with without_memory():
        patches = getattr(getattr(build(name), "patch_embed", None), "patch_size", None)
    return max(patches) if patches else None


@functools.cache
def _problem(name: str, size: int) -> str | None:
    """Why a network can't be built for pictures of a size."""
    try:
        with without_memory():
            build(name, size)
    except Exception as error:  # of each network's own checks: AssertionError, ValueError, ...
        return one_line(error)
    return None


def build(name: str, image_size: int | None = None) -> nn.Module:
    """The network with random weights and the classifier that its pretrained weights have, or with none.

    A network whose weights depend on the size of pictures (position embeddings) is built for `image_size`.
    """
    found = config(name)
    own = found.input_size[-1]
    sizes = {"img_size": image_size} if found.fixed_input_size and image_size not in (None, own) else {}
    return library().create_model(name, pretrained=False, num_classes=found.num_classes, **sizes)


def built_size(network: nn.Module) -> int | None:
    """Pixels a side that a network was built for; None where it takes several sizes, or is not timm's."""
    if not is_one(network) or not network.pretrained_cfg.get("fixed_input_size"):
        return None
    sides = getattr(getattr(network, "patch_embed", None), "img_size", None)
    return sides[0] if sides else network.pretrained_cfg["input_size"][-1]


def converted(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict as this network names and sizes it: other programs' names are timm's, and position
    embeddings of another grid are interpolated, as timm's own loader does."""
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    # Both are written for files of many kinds, and end in any error where the file is none of them.
    try:
        return dict(convert(dict(state), network)) if convert else dict(state)
    except Exception:
        return dict(state)


def transform(name: str, weights: str | None, image_size: int | None = None) -> Callable[[Image.Image], Tensor]:
    """A picture as the pretrained network expects it: with its own interpolation and crop."""
    from timm.data import create_transform, resolve_data_config

    asked = {} if image_size is None else {"input_size": (3, image_size, image_size)}
    return create_transform(**resolve_data_config(asked, pretrained_cfg=config(name).to_dict()))


def prefix_tokens(network: nn.Module) -> int:
    """How many of a transformer's tokens come before those of the patches: class token and registers."""
    return getattr(network, "num_prefix_tokens", 0)


def stage_names(network: nn.Module, layers: str, upper: int) -> list[str]:
    """The names of the stages (of a transformer its blocks) that `probe.layers` names: see `stages`."""
    if not hasattr(network, "forward_intermediates"):
        raise UserError(
            f"probe.layers={layers}: timm gives no stages of {type(network).__name__}: use probe.layers=last"
        )
    blocks = getattr(network, "blocks", None)
    is_transformer = blocks is not None and hasattr(network, "patch_embed")
    count = len(blocks) if is_transformer else len(network.feature_info)
    first = {"upper": max(0, count - upper), "last": count - 1, "all": 0}[layers]
    return [f"stage {number}" for number in range(first, count)]


class Stages(nn.Module):
    """The outputs of stages by number as text, as timm's `forward_intermediates` gives them.

    Of transformers with a class token (batch, 1 + patches, width), normalised by the network's last normalisation as in
    DINOv2's linear evaluation, registers left out; of all others maps (batch, channels, rows, columns).
    """

    def __init__(self, network: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.network, self.indices = network, [int(name.split()[-1]) for name in names]
        self.has_class_token = prefix_tokens(network) > 0
        # The classifier, and of most networks all after the last stage, which nothing asks for.
        network.reset_classifier(0)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        if not self.has_class_token:
            found = self.network.forward_intermediates(images, indices=self.indices, intermediates_only=True)
            return {str(number): maps for number, maps in enumerate(found)}
        found = self.network.forward_intermediates(
            images,
            indices=self.indices,
            intermediates_only=True,
            norm=True,
            output_fmt="NLC",
            return_prefix_tokens=True,
        )
        return {str(number): torch.cat([prefix[:, :1], tokens], 1) for number, (tokens, prefix) in enumerate(found)}
