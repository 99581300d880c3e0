"""A published network, model.safetensors and config.json: written, and read from a folder or the Hugging Face hub."""

import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from brushwork import __version__, downloads, files
from brushwork.calibration import Calibration
from brushwork.errors import UserError, one_line
from brushwork.models import backbones, factories
from brushwork.models.familiarity import Familiarity
from brushwork.preprocessing import Preprocessing

log = logging.getLogger(__name__)

KEY = "brushwork"  # under which a checkpoint holds its description, beside Lightning's own keys
PREFIX = "network."  # of the classifier's network in Lightning's state dict
CONFIG = "config.json"
WEIGHTS = "model.safetensors"  # the network's own state dict: torchvision loads it without us
FAMILIARITY = "familiarity.safetensors"  # the tensors of `Familiarity`, where there is one
FILES = (CONFIG, WEIGHTS, FAMILIARITY)
DESCRIBED = {"architecture", "head", "class_names", "preprocessing"}  # what each description has

_LIBRARY = "brushwork"
_REFERENCE = re.compile(r"hf:/+([\w.-]+/[\w.-]+)(?:@(.+))?")  # a Path has one slash of the two


def write_config(folder: Path, content: Mapping[str, Any]) -> None:
    """Write config.json: what a checkpoint says of itself, without folders of this machine."""
    about = {"library_name": _LIBRARY, "library_version": __version__}
    about |= {key: public(key, value) for key, value in content[KEY].items()}
    about["loss"] = content.get("hyper_parameters", {}).get("loss")
    about |= {key: about.pop(key) for key in ("familiarity", "calibration") if key in about}  # the long ones last
    if familiarity := about.get("familiarity"):
        about["familiarity"] = {key: value for key, value in familiarity.items() if not isinstance(value, Tensor)}
    files.write_json(folder / CONFIG, about)


def write_tensors(folder: Path, content: Mapping[str, Any], network: Mapping[str, Tensor]) -> None:
    """Write model.safetensors, the network's state dict, and familiarity.safetensors."""
    found = content[KEY].get("familiarity") or {}
    tensors = {key: value for key, value in found.items() if isinstance(value, Tensor)}
    for name, state in [(WEIGHTS, network), (FAMILIARITY, tensors)]:
        if state:
            state = {key: value.detach().cpu().contiguous() for key, value in state.items()}
            safetensors.torch.save_file(state, folder / name, {"format": "pt"})
            (folder / name).chmod((folder / CONFIG).stat().st_mode)  # safetensors' own is for its owner alone


def public(key: str, value: Any) -> Any:
    """The name alone where data or weights were given by a path."""
    is_path = key in ("data", "initial_weights") and os.sep in str(value) and not on_hub(value)
    return Path(value).name if is_path else value


def on_hub(place: str | Path) -> bool:
    """Whether a place is hf://USER/NAME, perhaps with @REVISION."""
    return str(place).startswith("hf:")


def is_one(place: str | Path) -> bool:
    """Whether a place is one on the hub, or a folder with a config.json."""
    return on_hub(place) or (Path(place) / CONFIG).is_file()


def place(source: str | Path) -> Path:
    """Where to read what `StyleClassifier.from_pretrained` names: a path that exists, or else USER/NAME on the hub."""
    given = Path(files.expanded(source))
    is_name = re.fullmatch(r"[\w.-]+/[\w.-]+(@.+)?", str(source)) and not given.exists()
    return Path(f"hf://{source}") if is_name else given


def read(place: Path) -> dict[str, Any]:
    """What `checkpoint.read` returns for the checkpoint that was exported: weights and description, no optimizer.

    Raises a UserError if there is none, the hub can't be reached, or another program wrote it.
    """
    folder, name = (_downloaded(place), str(place).replace("hf:/", "hf://", 1)) if on_hub(place) else (place, place)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if not (isinstance(config, dict) and config.keys() >= DESCRIBED and config.get("library_name") == _LIBRARY):
            raise UserError(f"{name} was not exported by Brushwork: name what scripts/export.py wrote")
        described = _checked(config, folder)
        state = safetensors.torch.load_file(folder / WEIGHTS)
    except FileNotFoundError:
        missing = next(file for file in FILES if not (folder / file).exists())
        raise UserError(f"{name} has no {missing}: export it again, --format safetensors") from None
    except (ValueError, TypeError, KeyError, AttributeError, SafetensorError) as error:
        raise UserError(f"{name} is damaged ({one_line(error)}): export it again") from None
    loss = described.pop("loss", None)
    weights = {PREFIX + key: value for key, value in state.items()}
    return {KEY: described, "state_dict": weights, "hyper_parameters": {"loss": loss}}


def _checked(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The description in a config.json, which anyone may have written; an error of any kind where it can't be one."""
    used, names = Preprocessing(**config["preprocessing"]), config["class_names"]
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names) and names):
        raise ValueError("class_names is no list of names")
    if not isinstance(config["head"], str):
        raise ValueError("head is no name")
    backbones.preprocessing(str(config["architecture"]), int(used.image_size), used.resize)
    if not len(used.mean) == len(used.std) == 3 or not all(float(value) for value in used.std):
        raise ValueError("mean and std are no three numbers")
    if used.resize not in ("squash", "crop", "pad"):
        raise ValueError(f"resize is {used.resize!r}")
    if not float(Calibration(**config.get("calibration", {})).temperature) > 0:
        raise ValueError("the temperature is not above 0")
    for kind in ("optimizer", "scheduler", "loss"):
        factories.restore(kind, config.get(kind))
    preprocessing = {key: tuple(v) if isinstance(v, list) else v for key, v in config["preprocessing"].items()}
    described = config | {"preprocessing": preprocessing}
    if config.get("familiarity"):
        described["familiarity"] = {**config["familiarity"], **safetensors.torch.load_file(folder / FAMILIARITY)}
        Familiarity.of(described["familiarity"])
    return described


def _downloaded(place: Path) -> Path:
    """The folder of huggingface_hub's cache with the files of a repository; without a network, as they are there."""
    if not (found := _REFERENCE.fullmatch(str(place))):
        raise UserError(f"expected hf://USER/NAME or hf://USER/NAME@REVISION, but got {place}")
    repository, revision = found.groups()
    name = f"hf://{repository}"
    hub = library()
    from huggingface_hub import errors

    problem = "HF_HUB_OFFLINE is set" if hub.constants.HF_HUB_OFFLINE else None
    try:
        if not problem:
            downloads.wait_for_answer(hub.constants.ENDPOINT)
    except OSError as error:
        problem = one_line(error)
        log.warning("%s: the hub can't be reached (%s): what is in the cache is used", name, problem)
    try:
        folder = hub.snapshot_download(
            repository,
            revision=revision,
            allow_patterns=list(FILES),
            endpoint=hub.constants.ENDPOINT,
            cache_dir=hub.constants.HF_HUB_CACHE,
            local_files_only=problem is not None,
        )
    except (errors.GatedRepoError, errors.RepositoryNotFoundError):
        raise UserError(f"{name} is not on the hub, or not open to you: check the name, or hf auth login") from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{name} has no revision {revision}: name a branch, a tag or a commit of it") from None
    except errors.LocalEntryNotFoundError:
        raise UserError(
            f"{name} is not in the cache, and the hub can't be reached ({problem or 'no connection'}): "
            f"connect to a network, or copy the export and name its folder"
        ) from None
    except Exception as error:  # of the library's HTTP client, whichever it is
        raise UserError(f"{name} can't be downloaded ({one_line(error)}): try again later") from None
    return Path(folder)


def library() -> Any:
    """huggingface_hub, which is an extra."""
    try:
        import huggingface_hub.constants
    except ImportError:
        raise UserError("the Hugging Face hub needs huggingface_hub: pip install '.[hub]'") from None
    return huggingface_hub
