"""Fetching the official checkpoints from the hub, where they are given on request."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from sam3d_ros.models.objects.checkpoints import CheckpointError
from sam3d_ros.models.objects.conversion import OFFICIAL_FOLDER, REPOSITORY, REQUIRED
from sam3d_ros.models.objects.parts import OFFICIAL_FILES

# Seconds without an answer after which the hub counts as out of reach.
_PATIENCE = 10.0

_ACCESS = (
    f"the weights are given on request: open https://huggingface.co/{REPOSITORY} in a browser, log in, accept the "
    "terms, wait for the approval, make a token at https://huggingface.co/settings/tokens and pass it as HF_TOKEN"
)
_OFFLINE = (
    f"the hub cannot be reached: bring the files {', '.join(REQUIRED)} on a disk, and run "
    "`sam3d-ros checkpoints convert FOLDER`"
)


def download(
    folder: Path, *, token: str | None = None, optional: bool = True, endpoint: str | None = None
) -> None:
    """Fetch the official files into `folder/checkpoints`; files that are complete are not fetched again.

    Args:
        folder: made if it does not exist.
        token: of an account that was given access; by default the one that the hub's own tools are logged in with.
        optional: fetch the Gaussian decoders too.
        endpoint: address of the hub or of a mirror; by default the hub's own, or that of HF_ENDPOINT.

    Raises:
        CheckpointError: the hub's library is missing, access was not given, or the hub is out of reach.
    """
    try:
        hub = import_module("huggingface_hub")
        errors = import_module("huggingface_hub.errors")
        constants = import_module("huggingface_hub.constants")
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"the library of the hub is missing: pip install huggingface_hub ({error})"
        ) from error
    # The error of the HTTP library below, which is another one in each major version of the hub's library.
    transport_error = errors.HfHubHTTPError.__bases__[0]
    if not _answers(endpoint or constants.ENDPOINT):
        raise CheckpointError(_OFFLINE)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _wanted(optional):
        try:
            hub.hf_hub_download(
                REPOSITORY,
                f"{OFFICIAL_FOLDER}/{name}",
                local_dir=folder,
                token=token,
                endpoint=endpoint,
                etag_timeout=_PATIENCE,
            )
        except (errors.GatedRepoError, errors.RepositoryNotFoundError) as error:
            raise CheckpointError(f"access to {REPOSITORY} was not granted: {_ACCESS}") from error
        except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
            raise CheckpointError(_OFFLINE) from error
        except (OSError, transport_error) as error:
            raise CheckpointError(f"{name} could not be fetched, run it again: {_one_line(error)}") from error


def _answers(endpoint: str) -> bool:
    """Ask once, for the hub's library asks again and again before it gives up."""
    try:
        with urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=_PATIENCE):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _wanted(optional: bool) -> Iterable[str]:
    return [file.name for file in OFFICIAL_FILES if optional or file.name in REQUIRED]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
