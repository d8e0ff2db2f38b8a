"""Converted checkpoints: one safetensors file for each network, and a manifest that says what they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from sam3d_ros.models.objects.parts import ObjectsConfig, Part
from sam3d_ros.models.records import from_record, to_record
from sam3d_ros.models.tensor_files import read_tensors
from sam3d_ros.models.weights import OtherWeightsError, Shapes, difference, loaded, on_meta, shapes_of

MANIFEST = "sam3d_objects.json"
# Since 2, the statistics of rotations belong to the configuration, and the ends of networks are in float32.
_FORMAT = 2
_BLOCK = 1 << 22

#: What weights can be stored in, and networks run in. On a CPU float16 has no fast kernels.
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}

#: Called with the name of a file and the share of the whole that is done, 0 to 1.
Progress = Callable[[str, float], None]


class CheckpointError(RuntimeError):
    """Weights are missing or cannot be used; the message is one line: which file, and what to do."""


@dataclass(frozen=True)
class Entry:
    """A converted network.

    Attributes:
        file: its file.
        sha256: of that file.
        size: of that file, bytes.
        source: official file that it was converted from.
        source_sha256: of the official file.
    """

    file: str
    sha256: str
    size: int
    source: str
    source_sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a folder of converted checkpoints holds.

    Attributes:
        config: sizes of the networks.
        dtype: of the stored weights of encoders and flows, a key of `DTYPES`. First and last layers are in float32, and
            decoders as the release has them.
        entries: the networks that are there.
    """

    config: ObjectsConfig
    dtype: str
    entries: Mapping[Part, Entry]

    def write(self, folder: Path) -> None:
        """Write the manifest, replacing an older one at once."""
        record = {
            "format": _FORMAT,
            "dtype": self.dtype,
            "config": to_record(self.config),
            "parts": {part.value: vars(entry) for part, entry in self.entries.items()},
        }
        draft = folder / f"{MANIFEST}.part"
        draft.write_text(json.dumps(record, indent=2) + "\n")
        draft.replace(folder / MANIFEST)

    @staticmethod
    def read(folder: Path) -> Manifest:
        """Read the manifest of a folder.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        path = folder / MANIFEST
        convert = f"run `sam3d-ros checkpoints convert {folder}`"
        if not path.is_file():
            raise CheckpointError(f"{folder} holds no converted SAM 3D Objects weights: {convert}")
        try:
            record = json.loads(path.read_text())
            if record["format"] != _FORMAT or record["dtype"] not in DTYPES:
                raise ValueError(f"format {record['format']} with {record['dtype']} is unknown")
            entries = {Part(name): Entry(**entry) for name, entry in record["parts"].items()}
            return Manifest(from_record(ObjectsConfig, record["config"]), record["dtype"], entries)
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is damaged ({error}): {convert}") from error


def sha256_of(path: Path, advance: Callable[[int], None] = lambda count: None) -> str:
    """Digest of a file; `advance` is told how many bytes were read since the last time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            advance(len(block))
    return digest.hexdigest()


def shapes_of_part(part: Part, config: ObjectsConfig) -> Shapes:
    """Keys and shapes that a network of this size has."""
    return shapes_of(on_meta(lambda: part.build(config)).state_dict())


@dataclass(frozen=True)
class Finding:
    """What was found about one converted file; `fault` is empty where it is sound."""

    part: Part
    file: str
    fault: str


def verify(folder: Path, progress: Progress | None = None) -> list[Finding]:
    """Check every converted file: presence, size, digest, keys and shapes.

    Raises:
        CheckpointError: the folder has no readable manifest.
    """
    manifest = Manifest.read(folder)
    total = sum(entry.size for entry in manifest.entries.values())
    done = 0
    findings = []
    for part, entry in manifest.entries.items():

        def advance(count: int, name: str = entry.file) -> None:
            nonlocal done
            done += count
            if progress:
                progress(name, done / total)

        expected = shapes_of_part(part, manifest.config)
        fault = _fault(folder / entry.file, entry, expected, advance)
        findings.append(Finding(part, entry.file, fault))
    return findings


def _fault(path: Path, entry: Entry, expected: Shapes, advance: Callable[[int], None]) -> str:
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != entry.size:
        return f"has {path.stat().st_size} bytes instead of {entry.size}"
    if sha256_of(path, advance) != entry.sha256:
        return "has other contents than were written (sha256)"
    with safe_open(path, framework="pt") as file:
        actual = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    return difference(actual, expected)


class CheckpointSource:
    """Networks from a folder of converted checkpoints.

    Raises:
        CheckpointError: the folder has no readable manifest, or a file of it is missing or partial.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = Manifest.read(folder)
        for path, entry in self._files():
            size = path.stat().st_size if path.is_file() else 0
            if size != entry.size:
                raise CheckpointError(f"{path} has {size} bytes instead of {entry.size}: {self._remedy}")

    def _files(self) -> Iterator[tuple[Path, Entry]]:
        for entry in self.manifest.entries.values():
            yield self.folder / entry.file, entry

    @property
    def _remedy(self) -> str:
        return f"run `sam3d-ros checkpoints convert {self.folder}` again"

    @property
    def config(self) -> ObjectsConfig:
        """Sizes of the networks."""
        return self.manifest.config

    def load(self, part: Part, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """A network on a device, its blocks in `dtype`; see `Part.torso_dtype` and `Part.dtype_of`.

        Raises:
            CheckpointError: the folder lacks this network, or its file is damaged.
        """
        if part not in self.manifest.entries:
            raise CheckpointError(
                f"{self.folder} lacks the {part.value} network: bring its official file and {self._remedy}"
            )
        path = self.folder / self.manifest.entries[part].file
        torso = part.torso_dtype(dtype, device)
        try:
            state = read_tensors(path, device)
            return loaded(
                lambda: part.build(self.config),
                {key: x.to(part.dtype_of(key, torso)) for key, x in state.items()},
            )
        except (OSError, SafetensorError, OtherWeightsError) as error:
            raise CheckpointError(f"{path} is damaged ({_one_line(error)}): {self._remedy}") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
