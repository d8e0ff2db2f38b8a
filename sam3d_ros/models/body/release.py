"""The official checkpoints of SAM 3D Body, and whether a folder holds them whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from sam3d_ros.models.body.checkpoints import (
    FILES,
    MANIFEST,
    OFFICIAL_RIG,
    OFFICIAL_WEIGHTS,
    RIG,
    WEIGHTS,
    BodyCheckpointError,
)
from sam3d_ros.models.body.config import BodyConfig
from sam3d_ros.models.body.network import BodyNetwork
from sam3d_ros.models.body.rig import Rig
from sam3d_ros.models.hub import HubError, fetch
from sam3d_ros.models.objects.checkpoints import Progress, sha256_of
from sam3d_ros.models.records import from_record
from sam3d_ros.models.weights import Shapes, difference, on_meta, shapes_of

#: Official files, and what becomes of them.
OFFICIAL_FILES = {OFFICIAL_WEIGHTS: WEIGHTS, OFFICIAL_RIG: RIG}


@dataclass(frozen=True)
class Release:
    """An official checkpoint.

    Attributes:
        repository: where it is given on request.
        sha256: of its `model.ckpt`; empty where it is not known.
    """

    repository: str
    sha256: str


#: By the name of the encoder.
RELEASES = {
    "dinov3": Release(
        "facebook/sam-3d-body-dinov3", "b5a2f9d305dd02626b967aa2e86021fba07065df66ce7a7e00ffb9664f150abf"
    ),
    "vith": Release("facebook/sam-3d-body-vith", ""),
}


def download(folder: Path, encoder: str, *, token: str | None = None, endpoint: str | None = None) -> None:
    """Fetch the official files of an encoder into a folder; those that are complete are not fetched again.

    Args:
        folder: made if it does not exist.
        encoder: a key of `RELEASES`.
        token: of an account that was given access; by default the one that the hub's own tools are logged in with.
        endpoint: address of the hub or of a mirror; by default the hub's own, or that of HF_ENDPOINT.

    Raises:
        BodyCheckpointError: the hub's library is missing, access was not given, or the hub is out of reach.
    """
    convert = f"sam3d-ros checkpoints convert --model body-{encoder} FOLDER"
    try:
        fetch(
            folder,
            RELEASES[encoder].repository,
            list(OFFICIAL_FILES),
            convert=convert,
            token=token,
            endpoint=endpoint,
        )
    except HubError as error:
        raise BodyCheckpointError(str(error)) from error


def check_release(folder: Path, encoder: str, progress: Progress | None = None) -> None:
    """Compare the official weights of a folder with those that were released, where their digest is known.

    Raises:
        BodyCheckpointError: they are missing, or others.
    """
    release, path = RELEASES[encoder], folder / OFFICIAL_WEIGHTS
    if not path.is_file():
        raise BodyCheckpointError(
            f"{folder} lacks {OFFICIAL_WEIGHTS}: get it from the hub ({release.repository}) with "
            f"`sam3d-ros checkpoints download --model body-{encoder}`, or copy it there"
        )
    if not release.sha256:
        return
    total, done = path.stat().st_size, 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress:
            progress(path.name, done / total)

    if (digest := sha256_of(path, advance)) != release.sha256:
        raise BodyCheckpointError(
            f"{path} is not the released file (sha256 {digest[:12]}, expected {release.sha256[:12]}): download it "
            "again, or pass --any-version if it is meant to be another one"
        )


@dataclass(frozen=True)
class BodyFinding:
    """What was found about one converted file; `fault` is empty where it is sound."""

    file: str
    fault: str


def verify(folder: Path, progress: Progress | None = None) -> list[BodyFinding]:
    """Check every converted file: presence, size, digest, keys and shapes.

    Raises:
        BodyCheckpointError: the folder has no readable manifest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BodyCheckpointError(
            f"{folder} holds no converted SAM 3D Body weights: run `sam3d-ros checkpoints convert`"
        )
    try:
        record = json.loads(path.read_text())
        config = from_record(BodyConfig, record["config"])
        entries = {
            name: (int(entry["size"]), str(entry["sha256"])) for name, entry in record["files"].items()
        }
        sizes = [entries[name][0] for name in FILES]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BodyCheckpointError(
            f"{path} is damaged ({error}): run `sam3d-ros checkpoints convert` again"
        ) from error
    expected = {
        WEIGHTS: shapes_of(on_meta(lambda: BodyNetwork(config)).state_dict()),
        RIG: shapes_of(on_meta(lambda: Rig(config.rig)).state_dict()),
    }
    findings, done = [], 0
    for name in FILES:

        def advance(count: int, name: str = name) -> None:
            nonlocal done
            done += count
            if progress:
                progress(name, done / sum(sizes))

        size, digest = entries[name]
        fault = _changed(folder / name, size)
        if not fault and sha256_of(folder / name, advance) != digest:
            fault = "has other contents than were written (sha256)"
        findings.append(BodyFinding(name, fault or _misfit(folder / name, expected[name])))
    return findings


def _changed(path: Path, size: int) -> str:
    if not path.is_file():
        return "is missing"
    actual = path.stat().st_size
    return "" if actual == size else f"has {actual} bytes instead of {size}"


def _misfit(path: Path, expected: Shapes) -> str:
    try:
        with safe_open(path, framework="pt") as file:
            actual = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        return f"cannot be read ({error})"
    return difference(actual, expected)
