"""Fetching files from the hub, where official checkpoints are given on request."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

# Seconds without an answer after which the hub counts as out of reach.
_PATIENCE = 10.0


class HubError(RuntimeError):
    """Files could not be fetched; the message is one line: why, and what to do."""


def fetch(
    folder: Path,
    repository: str,
    files: Sequence[str],
    *,
    convert: str,
    token: str | None = None,
    endpoint: str | None = None,
) -> None:
    """Fetch files under their paths in the repository; those that are complete are not fetched again.

    Args:
        folder: made if it does not exist.
        repository: on the hub.
        files: their paths in it.
        convert: the command that is to follow, for the messages.
        token: of an account that was given access; by default the one that the hub's own tools are logged in with.
        endpoint: address of the hub or of a mirror; by default the hub's own, or that of HF_ENDPOINT.

    Raises:
        HubError: the hub's library is missing, access was not given, or the hub is out of reach.
    """
    access = (
        f"the weights are given on request: open https://huggingface.co/{repository} in a browser, log in, accept the "
        "terms, wait for the approval, make a token at https://huggingface.co/settings/tokens and pass it as HF_TOKEN"
    )
    names = ", ".join(name.rpartition("/")[2] for name in files)
    offline = f"the hub cannot be reached: bring the files {names} on a disk, and run `{convert}`"
    try:
        hub = import_module("huggingface_hub")
        errors = import_module("huggingface_hub.errors")
        constants = import_module("huggingface_hub.constants")
    except ModuleNotFoundError as error:
        raise HubError(f"the library of the hub is missing: pip install huggingface_hub ({error})") from error
    # The error of the HTTP library below, which is another one in each major version of the hub's library.
    transport_error = errors.HfHubHTTPError.__bases__[0]
    if not _answers(endpoint or constants.ENDPOINT):
        raise HubError(offline)
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        try:
            hub.hf_hub_download(
                repository,
                name,
                local_dir=folder,
                token=token,
                endpoint=endpoint,
                etag_timeout=_PATIENCE,
            )
        except (errors.GatedRepoError, errors.RepositoryNotFoundError) as error:
            raise HubError(f"access to {repository} was not granted: {access}") from error
        except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
            raise HubError(offline) from error
        except (OSError, transport_error) as error:
            raise HubError(f"{name} could not be fetched, run it again: {_one_line(error)}") from error


def _answers(endpoint: str) -> bool:
    """Ask once, for the hub's library asks again and again before it gives up."""
    try:
        with urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=_PATIENCE):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
