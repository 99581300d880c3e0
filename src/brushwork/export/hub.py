"""Publishing an export on the Hugging Face hub."""

import re
from pathlib import Path

from brushwork import downloads
from brushwork.errors import UserError, one_line
from brushwork.export.folder import CARD, CONFUSION, HALF, INT8, ONNX, SALIENCY
from brushwork.models import published

# Not the .pt2, which is of one version of torch, and holds a pickle that the hub warns of.
PUSHED = (CARD, *published.FILES, ONNX, f"{ONNX}.data", HALF, INT8, CONFUSION, SALIENCY)


def check(repository: str) -> None:
    """Before any work is done: UserError where the name, the package, a token or a network is missing."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII):
        raise UserError(f"expected --push USER/NAME, but got {repository}")
    hub = published.library()
    if hub.constants.HF_HUB_OFFLINE:
        raise UserError("--push needs a network, and HF_HUB_OFFLINE is set: unset it")
    if not hub.get_token():
        raise UserError("--push needs a token of the Hugging Face hub: hf auth login, or set HF_TOKEN")
    endpoint = hub.constants.ENDPOINT
    try:
        downloads.wait_for_answer(endpoint)
        hub.HfApi(endpoint=endpoint).whoami()
    except Exception as error:  # OSError, or those of the library's HTTP client, whichever it is
        raise UserError(_reason(f"--push: {endpoint} can't be used", error)) from None


def push(folder: Path, repository: str, private: bool) -> str:
    """Upload what belongs to a published network; returns its address."""
    hub = published.library()
    api = hub.HfApi(endpoint=hub.constants.ENDPOINT)
    try:
        address = api.create_repo(repository, private=private or None, exist_ok=True)
        message = "Exported by Brushwork"
        api.upload_folder(repo_id=repository, folder_path=folder, allow_patterns=list(PUSHED), commit_message=message)
    except Exception as error:
        what = f"the export is in {folder}, but not on the hub: {repository} can't be written"
        raise UserError(_reason(what, error)) from None
    return str(address)


def _reason(what: str, error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    advice = "check the token: hf auth login, or HF_TOKEN" if status in (401, 403) else "try again later"
    return f"{what} ({one_line(error)}): {advice}"
