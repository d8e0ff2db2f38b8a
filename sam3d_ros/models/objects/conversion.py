"""From the official checkpoints to converted ones."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from sam3d_ros.models.objects.checkpoints import (
    DTYPES,
    MANIFEST,
    CheckpointError,
    Entry,
    Manifest,
    Progress,
    sha256_of,
    shapes_of_part,
)
from sam3d_ros.models.objects.parts import OFFICIAL_FILES, ObjectsConfig, OfficialFile, Part
from sam3d_ros.models.weights import difference, shapes_of, without_prefix

#: Where to get the weights.
REPOSITORY = "facebook/sam-3d-objects"
#: Without these there is no object; the Gaussian decoders are optional.
REQUIRED = ("ss_generator.ckpt", "slat_generator.ckpt", "ss_decoder.ckpt", "slat_decoder_mesh.ckpt")
#: Folder of the official repository in which the files lie.
OFFICIAL_FOLDER = "checkpoints"


@dataclass(frozen=True)
class FileState:
    """An official file of a folder, and whether it was converted."""

    name: str
    required: bool
    present: bool
    converted: bool


def official_folder(folder: Path) -> Path:
    """Where the official files lie: the folder, or `checkpoints` in it, as the official repository has it."""
    inner = folder / OFFICIAL_FOLDER
    return inner if any((inner / file.name).is_file() for file in OFFICIAL_FILES) else folder


def states(folder: Path) -> list[FileState]:
    """What a folder holds of each official file."""
    entries = Manifest.read(folder).entries if (folder / MANIFEST).is_file() else {}
    return [
        FileState(
            file.name,
            file.name in REQUIRED,
            (official_folder(folder) / file.name).is_file(),
            all(part in entries for part in file.parts.values()),
        )
        for file in OFFICIAL_FILES
    ]


def convert(
    folder: Path,
    *,
    config: ObjectsConfig | None = None,
    dtype: str = "bfloat16",
    any_version: bool = False,
    progress: Progress | None = None,
) -> Manifest:
    """Convert the official files of a folder, once.

    Official files are read without running code from them, and memory-mapped. The converted files are written
    beside the manifest, in `folder`. What was converted before from the same file to the same dtype stays.

    Args:
        folder: holds the official files, or a folder `checkpoints` with them.
        config: sizes of the networks; those of the release by default.
        dtype: of the converted weights of encoders and flows, a key of `DTYPES`. First and last layers become float32,
            and decoders, which are small, stay as they are.
        any_version: take files whose sha256 is not the release's; keys and shapes must still fit.
        progress: told about the progress.

    Returns:
        What the folder now holds.

    Raises:
        CheckpointError: a file is missing, partial, corrupt, or of another model.
        ValueError: the dtype is unknown.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype}: choose of {sorted(DTYPES)}")
    config = config or ObjectsConfig.released()
    source = official_folder(folder)
    missing = [name for name in REQUIRED if not (source / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{source} lacks {', '.join(missing)}: get the weights from the hub ({REPOSITORY}) with "
            f"`sam3d-ros checkpoints download`, or copy the files there"
        )
    files = [file for file in OFFICIAL_FILES if (source / file.name).is_file()]
    before = _matching_entries(folder, config, dtype)
    total = sum((source / file.name).stat().st_size for file in files)
    done = 0
    entries: dict[Part, Entry] = {}
    for file in files:
        path = source / file.name

        def advance(count: int, name: str = file.name) -> None:
            nonlocal done
            done += count
            if progress:
                progress(name, min(1.0, done / total))

        state = read_official(path, file)
        check_keys(path, file, state, config)
        digest = sha256_of(path, advance)
        if digest != file.sha256 and not any_version:
            raise CheckpointError(
                f"{path} is not the released file (sha256 {digest[:12]}, expected {file.sha256[:12]}): download it "
                f"again, or pass --any-version if it is meant to be another one"
            )
        for prefix, part in file.parts.items():
            entries[part] = _kept(folder, before.get(part), digest) or _write(
                folder, part, without_prefix(state, prefix), DTYPES[dtype], file.name, digest
            )
    manifest = Manifest(config, dtype, entries)
    manifest.write(folder)
    return manifest


def read_official(path: Path, file: OfficialFile) -> dict[str, Tensor]:
    """The tensors of an official file, memory-mapped; nothing in it is executed.

    Raises:
        CheckpointError: it is partial or corrupt, or holds something else than tensors.
    """
    try:
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a PyTorch checkpoint, it is partial, corrupt or no weights: download it again"
        ) from error
    if file.nested and isinstance(content, Mapping) and "state_dict" in content:
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path} holds no table of tensors: it is no {file.name} of SAM 3D Objects")
    return dict(content)


def check_keys(path: Path, file: OfficialFile, state: Mapping[str, Tensor], config: ObjectsConfig) -> None:
    """Compare keys and shapes with the networks. Keys under prefixes of no network are ignored.

    Raises:
        CheckpointError: they differ.
    """
    for prefix, part in file.parts.items():
        actual = shapes_of(without_prefix(state, prefix))
        if fault := difference(actual, shapes_of_part(part, config)):
            raise CheckpointError(f"{path} is no {file.name} of SAM 3D Objects of this size: {fault}")


def _matching_entries(folder: Path, config: ObjectsConfig, dtype: str) -> Mapping[Part, Entry]:
    try:
        manifest = Manifest.read(folder)
    except CheckpointError:
        return {}  # There is none, or the one there is damaged: everything is converted anew.
    return manifest.entries if (manifest.config, manifest.dtype) == (config, dtype) else {}


def _kept(folder: Path, entry: Entry | None, source_digest: str) -> Entry | None:
    """The entry of an earlier conversion, if its file is still what was written."""
    if entry is None or entry.source_sha256 != source_digest:
        return None
    path = folder / entry.file
    return entry if path.is_file() and sha256_of(path) == entry.sha256 else None


def _write(
    folder: Path, part: Part, state: Mapping[str, Tensor], dtype: torch.dtype, source: str, source_digest: str
) -> Entry:
    path = folder / f"sam3d_objects_{part.value}.safetensors"
    draft = path.with_suffix(".part")
    try:
        copies = {
            key: value.to(
                value.dtype if part.is_decoder else part.dtype_of(key, dtype), copy=True
            ).contiguous()
            for key, value in state.items()
        }
        save_file(copies, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return Entry(path.name, sha256_of(path), path.stat().st_size, source, source_digest)
