"""Archives that somebody made up: nothing in them runs, none fills the memory, and each is refused in one line."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_evidence import as_npy, little_memory, members, packed, refused, sealed

from sam3d_ros.perception.recorded.evidence_files import EvidenceFileError, read_evidence


class Canary:
    """Makes a folder where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = str(place)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.place,)


def test_nothing_is_unpickled(path: Path, good: bytes, tmp_path: Path) -> None:
    place = tmp_path / "unpickled"
    array = np.array([Canary(place)], dtype=object)
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    for name in ("header.npy", "points.npy"):
        refused(
            path, sealed({**members(good), name: file.getvalue()}), "no array of numbers as numpy writes it"
        )
    refused(path, pickle.dumps(Canary(place)), "no zip archive at all")
    assert not place.exists()
    pickle.loads(pickle.dumps(Canary(place)))
    assert place.exists(), "the canary sings"


def described(shape: str, descr: str = "<f4", content: bytes = b"") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


CLAIMS = {
    "a million million numbers": described("(1000000, 1000000, 3)"),
    "more digits than there are": described("(" + "9" * 60 + ", 3)"),
    "less than nothing": described("(-1, 3)"),
    "an expression": described("(__import__('os').getpid(), 3)"),
    "a type that there is not": described("(20, 30, 3)", "<f1"),
    "objects": described("(20, 30, 3)", "|O8"),
    "brackets": described("(" * 50),
    "another version": b"\x93NUMPY\x03\x00" + described("(3, 3)")[8:],
    "nothing": b"",
}


@pytest.mark.parametrize("name", CLAIMS)
def test_what_an_array_claims_is_not_believed(path: Path, good: bytes, name: str) -> None:
    data = sealed({**members(good), "points.npy": CLAIMS[name]})
    with little_memory():
        refused(path, data)


def test_zeros_without_end_are_not_unpacked(path: Path, good: bytes) -> None:
    """64 MiB in 64 KiB, under the name and with the description of what is expected."""
    content = members(good)
    start = content["points.npy"][:128]
    data = sealed({**content, "points.npy": start + bytes(2**26)})
    assert len(data) < 200_000
    with little_memory():
        refused(path, data, "bytes")


def patched(data: bytes, name: str, offset: int, value: bytes) -> bytes:
    """The entry of a member in the table of contents with other bytes."""
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(name.encode()))
    return data[: entry + offset] + value + data[entry + offset + len(value) :]


def test_the_whole_content_is_bounded(path: Path, good: bytes) -> None:
    claims = patched(good, "points.npy", 24, struct.pack("<L", 2**32 - 2))
    with little_memory():
        refused(path, claims, "it unpacks to 4096 MiB, at most 1536 MiB are read")


def test_a_member_that_says_it_is_small_is_not_unpacked_further(path: Path, good: bytes) -> None:
    content = members(good)
    size = len(content["points.npy"])
    data = packed({**content, "points.npy": content["points.npy"] + bytes(2**26)})
    data = patched(data, "points.npy", 24, struct.pack("<L", size))
    with little_memory():
        refused(path, data, "CRC")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_of_packing_are_refused(path: Path, good: bytes, method: int) -> None:
    refused(path, packed(members(good), method), f"packed by method {method}, deflate is expected")


def test_an_encrypted_member_is_refused(path: Path, good: bytes) -> None:
    refused(path, patched(good, "points.npy", 8, b"\x01\x00"), "encrypted")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_is_there_once(path: Path, good: bytes) -> None:
    file = io.BytesIO(good)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("points.npy", members(good)["points.npy"])
    refused(path, file.getvalue(), "each must be there once")


def test_a_table_of_contents_without_end_is_not_read(path: Path) -> None:
    with little_memory():
        refused(path, packed({f"{i}.npy": b"" for i in range(3000)}), "lists 3000 members in")


def test_a_second_larger_table_of_contents_is_not_looked_for(path: Path, good: bytes) -> None:
    """Where zipfile would follow it."""
    end = good.rindex(b"PK\x05\x06")
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    tail = bytearray(good[end:])
    for data in (good[:end] + locator + tail, good + locator + tail, b"front" + good, good + b"behind"):
        refused(path, bytes(data))
    # Also not where the locator counts as a part of the table.
    size, start = struct.unpack_from("<LL", tail, 12)
    struct.pack_into("<LL", tail, 12, size + len(locator), start)
    refused(
        path, good[:end] + locator + bytes(tail), "its table of contents does not end where the file ends"
    )


OTHERS = {
    "nothing": (b"", "it is empty"),
    "text": (b"hello\n" * 9, "no zip archive at all"),
    "a bare end": (b"PK\x05\x06" + bytes(18), "array header is missing"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(99), "no zip archive at all"),
    "an array": (as_npy(np.zeros(9)), "no zip archive at all"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_something_else_is_named(path: Path, name: str) -> None:
    data, message = OTHERS[name]
    refused(path, data, message)


def test_another_archive_of_arrays_is_named(path: Path) -> None:
    np.savez(path, points=np.zeros((4, 4), np.float32))
    refused(path, path.read_bytes(), "array header is missing")


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        EvidenceFileError, match=r"nowhere\.evidence\.npz cannot be read \(it does not exist\)"
    ):
        read_evidence(tmp_path / "nowhere.evidence.npz")
    with pytest.raises(EvidenceFileError, match="is no file"):
        read_evidence(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # which would be waited for
    with pytest.raises(EvidenceFileError, match="is no file"):
        read_evidence(tmp_path / "pipe")


def test_a_name_that_no_system_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvidenceFileError, match="cannot be read"):
        read_evidence(tmp_path / ("x" * 5000))
