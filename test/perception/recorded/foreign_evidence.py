"""Files of evidence as others may make them: taken apart and put together by other means than those of the package."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evidence_samples import assert_same, random_estimate, random_piece

from sam3d_ros.perception.recorded.evidence_files import EvidenceFileError, RecordedEvidence, read_evidence

PIECE, ESTIMATE = random_piece(8, 30, 20), random_estimate(8, splats=True)
WHOLE = RecordedEvidence(PIECE, ESTIMATE)
#: More than reading the files here takes, less than any bomb.
LITTLE_MEMORY = 6 * 2**20


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(content: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return file.getvalue()


def sealed(content: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """With the checksum of somebody who knows how: over the bytes behind the description of each array."""
    lines = [
        f"{name.removesuffix('.npy')} {zlib.crc32(data[10 + int.from_bytes(data[8:10], 'little') :]):08x}\n"
        for name, data in content.items()
        if name != "seal.npy"
    ]
    seal = np.array([zlib.crc32("".join(sorted(lines)).encode())], np.uint32)
    return packed({**content, "seal.npy": as_npy(seal)}, method)


def as_npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(array))
    return file.getvalue()


def header_of(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(np.load(io.BytesIO(members(data)["header.npy"])).tobytes())
    return found


def with_header(data: bytes, header: object) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return sealed({**members(data), "header.npy": as_npy(np.frombuffer(text, np.uint8))}, zipfile.ZIP_STORED)


def refused(path: Path, data: bytes, message: str = "") -> str:
    path.write_bytes(data)
    with pytest.raises(EvidenceFileError) as caught:
        read_evidence(path)
    text = str(caught.value)
    assert str(path) in text and "\n" not in text and message in text, text
    assert text.isprintable() and len(text) < 600
    return text


def read_or_refused(path: Path, data: bytes) -> RecordedEvidence | None:
    """What was read, None where it was refused by name; any other exception fails the test."""
    path.write_bytes(data)
    try:
        return read_evidence(path)
    except EvidenceFileError as error:
        text = str(error)
    assert str(path) in text and text.isprintable(), text
    return None


def equal_or_refused(path: Path, data: bytes) -> bool:
    """Whether it was read."""
    read = read_or_refused(path, data)
    if read is not None:
        assert_same(read, WHOLE)
    return read is not None


@contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < LITTLE_MEMORY
    finally:
        tracemalloc.stop()
