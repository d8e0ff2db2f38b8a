"""Fetching the official checkpoints of SAM 3D Objects."""

from __future__ import annotations

from pathlib import Path

from sam3d_ros.models.hub import HubError, fetch
from sam3d_ros.models.objects.checkpoints import CheckpointError
from sam3d_ros.models.objects.conversion import OFFICIAL_FOLDER, REPOSITORY, REQUIRED
from sam3d_ros.models.objects.parts import OFFICIAL_FILES


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
    wanted = [file.name for file in OFFICIAL_FILES if optional or file.name in REQUIRED]
    try:
        fetch(
            folder,
            REPOSITORY,
            [f"{OFFICIAL_FOLDER}/{name}" for name in wanted],
            convert="sam3d-ros checkpoints convert FOLDER",
            token=token,
            endpoint=endpoint,
        )
    except HubError as error:
        raise CheckpointError(str(error)) from error
