"""Weights on the Hugging Face hub: found in its cache, or downloaded into it."""

from pathlib import Path
from typing import Any

from brushwork import downloads
from brushwork.errors import UserError, one_line
from brushwork.models import published


def path_of(repository: str, names: list[str], alternatives: str) -> Path:
    """The first of these files that a repository has, in the cache of huggingface_hub; downloaded if it is not there.

    Args:
        alternatives: what an error suggests instead.

    Raises:
        UserError: none is in the cache, and the hub does not answer within `downloads.TIMEOUT`, or refuses.
    """
    hub = published.library()
    from huggingface_hub import errors

    def fetched(**options: Any) -> Path | None:
        for name in names:
            try:
                return Path(hub.hf_hub_download(repository, name, cache_dir=hub.constants.HF_HUB_CACHE, **options))
            except (errors.LocalEntryNotFoundError, errors.RemoteEntryNotFoundError):
                continue
        return None

    if found := fetched(local_files_only=True):
        return found
    where = f"{names[0]} of {hub.constants.ENDPOINT}/{repository}"
    problem = "HF_HUB_OFFLINE is set" if hub.constants.HF_HUB_OFFLINE else "no such file"
    try:
        if not hub.constants.HF_HUB_OFFLINE:
            downloads.wait_for_answer(hub.constants.ENDPOINT)
            if found := fetched(endpoint=hub.constants.ENDPOINT):
                return found
    except (errors.GatedRepoError, errors.RepositoryNotFoundError):
        problem = "not open to you: accept its licence there, and hf auth login"
    except Exception as error:  # of the network, or of the library's HTTP client, whichever it is
        problem = one_line(error)
    raise UserError(
        f"weights {where} are not in {hub.constants.HF_HUB_CACHE} and cannot be downloaded ({problem}): fetch that "
        f"file elsewhere and name it by its path, {alternatives}"
    )
