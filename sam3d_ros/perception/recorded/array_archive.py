"""Named arrays in one file from anywhere: nothing in it is executed, nothing is allocated that was not asked for.

The files are what `numpy.savez_compressed` writes: a zip archive with a `.npy` member for each array. `numpy.load`
opens them too, but it evaluates the descriptions of arrays as Python and allocates whatever they claim. Here a reader
says which arrays it expects, of which type and shape; a member that is anything else is refused by its first bytes.
One more array, `seal`, is a checksum over all others and their names: those of zip hold for each member alone, so that
arrays of two files, or one that was edited, would pass for what was written together. It does not tell who wrote it.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

#: All arrays of an archive together, bytes: an image of 8K with its full view takes 1.1 GiB.
LARGEST_CONTENT = 3 << 29
_SEAL = "seal"
#: What damage of a file may raise underneath, beside ValueError: zlib, zipfile and the operating system have their own
#: words. RuntimeError is zipfile's for encryption and for what it does not support; OverflowError is of wild offsets.
DAMAGE = (
    OSError,
    EOFError,
    RuntimeError,
    OverflowError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
)

#: The table of contents is read as a whole before anything of it can be checked: bounds for it, bytes and members.
_LARGEST_DIRECTORY, _MOST_MEMBERS = 16384, 64
#: End of central directory (APPNOTE.TXT 4.3.16), and the length and signature of what points to a second, larger one.
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE, _LARGER_END, _LARGER_SIGNATURE = b"PK\x05\x06", 20, b"PK\x06\x07"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: Format 1.0 of NEP 1, the description as numpy writes it: little-endian numbers in C order, four axes at most.
_MAGIC = b"\x93NUMPY\x01\x00"
_DESCRIPTION = re.compile(
    rb"\{'descr': '([<|][biuf][1248])', 'fortran_order': False, 'shape': \(((?:\d{1,10},? ?){0,4})\), \} *\n"
)
_CHUNK = 1 << 20


class Arrays(Protocol):
    """Arrays by name, each of which can be taken once."""

    def take(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """The array of this name.

        Raises:
            ValueError: there is none, or it is of another type or shape.
        """

    def finish(self) -> None:
        """Nothing more will be taken.

        Raises:
            ValueError: something is left.
        """


class GivenArrays:
    """Arrays in memory, held to the same as those of a file.

    Args:
        arrays: name -> array.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = dict(arrays)

    def take(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """See `Arrays`."""
        array = self._arrays.pop(name, None)
        _expect(name, None if array is None else (array.dtype.str, array.shape), dtype, shape)
        assert array is not None
        return array

    def finish(self) -> None:
        """See `Arrays`."""
        _expect_nothing_more(self._arrays)


def write_arrays(file: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an archive to a file that is open for writing.

    Raises:
        ValueError: there are more arrays, or larger ones, than `ArrayArchive` reads.
        OSError: the file cannot be written.
    """
    content = sum(array.nbytes for array in arrays.values())
    if content > LARGEST_CONTENT or len(arrays) >= _MOST_MEMBERS:
        raise ValueError(
            f"{len(arrays)} arrays have {content / 2**20:.0f} MiB, at most {_MOST_MEMBERS} and "
            f"{LARGEST_CONTENT / 2**20:.0f} MiB are read"
        )
    seal = _seal({name: zlib.crc32(np.ascontiguousarray(array).data) for name, array in arrays.items()})
    named: dict[str, Any] = {**arrays, _SEAL: seal}
    np.savez_compressed(file, **named)


class ArrayArchive:
    """The arrays of an open file.

    Args:
        file: open for reading, at any place; stays open.

    Raises:
        ValueError: it is no archive of arrays, or unpacks to more than `LARGEST_CONTENT`.
        DAMAGE: it is damaged; this may also show while an array is taken.
    """

    def __init__(self, file: BinaryIO) -> None:
        _check_directory(file)
        self._zip = zipfile.ZipFile(file)
        members = self._zip.infolist()
        self._members = {member.filename.removesuffix(".npy"): member for member in members}
        if len(self._members) != len(members):
            raise ValueError(
                f"it has {len(members)} members of {len(self._members)} names, each must be there once"
            )
        content = sum(member.file_size for member in members)
        if content > LARGEST_CONTENT:
            raise ValueError(
                f"it unpacks to {content / 2**20:.0f} MiB, at most {LARGEST_CONTENT / 2**20:.0f} MiB are read"
            )
        self._checksums: dict[str, int] = {}
        for name, member in self._members.items():
            if member.compress_type not in _METHODS:
                raise ValueError(
                    f"{_shown(name)} is packed by method {member.compress_type}, deflate is expected"
                )

    def take(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """See `Arrays`; the array is writable.

        Raises:
            ValueError: there is none, or it is of another type or shape.
            DAMAGE: it is damaged.
        """
        member = self._members.pop(name, None)
        if member is None:
            _expect(name, None, dtype, shape)
        assert member is not None
        with self._zip.open(member) as file:
            came, length = _description(file, name)
            _expect(name, came, dtype, shape)
            array = _content(file, name, np.dtype(dtype), shape, member.file_size - length)
        self._checksums[name] = zlib.crc32(array.data)
        return array

    def take_bytes(self, name: str, most: int) -> bytes:
        """An array of bytes of any length.

        Raises:
            ValueError: there is none, it is of another type, or longer than `most`.
            DAMAGE: it is damaged.
        """
        member = self._members.get(name)
        if member is not None and member.file_size > most:
            raise ValueError(f"{_shown(name)} has {member.file_size} bytes, at most {most} are read")
        if member is not None:
            with self._zip.open(member) as file:
                (_, shape), _ = _description(file, name)
        else:
            shape = (most,)
        return self.take(name, np.uint8, shape[:1]).tobytes()

    def finish(self) -> None:
        """See `Arrays`.

        Raises:
            ValueError: something is left, or the arrays were not written together.
        """
        expected = _seal(self._checksums)
        seal = self.take(_SEAL, np.uint32, (1,))
        _expect_nothing_more(self._members)
        if not np.array_equal(seal, expected):
            raise ValueError(
                "its arrays are not those that were written together, the seal over them is another"
            )


def _seal(checksums: Mapping[str, int]) -> NDArray[np.uint32]:
    """(1,) CRC-32 of a line `NAME CRC-32` for each array, in the order of the names."""
    lines = "".join(f"{name} {checksums[name]:08x}\n" for name in sorted(checksums))
    return np.array([zlib.crc32(lines.encode())], np.uint32)


def _check_directory(file: BinaryIO) -> None:
    """Refuse what is no plain zip archive before zipfile reads a table of contents of any length."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _END.size - _LARGER_END))
    tail = file.read()
    end = tail[-_END.size :]
    if not end.startswith(_END_SIGNATURE) or len(end) < _END.size:
        raise ValueError("it is empty" if size == 0 else "it is cut off, or no zip archive at all")
    _, _, _, _, members, length, start, comment = _END.unpack(end)
    if start + length + _END.size != size or comment or tail[: -_END.size].startswith(_LARGER_SIGNATURE):
        raise ValueError(
            "its table of contents does not end where the file ends, as it does in what numpy writes"
        )
    if length > _LARGEST_DIRECTORY or members > _MOST_MEMBERS:
        raise ValueError(
            f"its table of contents lists {members} members in {length} bytes, at most {_MOST_MEMBERS} in "
            f"{_LARGEST_DIRECTORY} are read"
        )


def _description(file: IO[bytes], name: str) -> tuple[tuple[str, tuple[int, ...]], int]:
    """Type and shape of a member, and the bytes before its content."""
    start = file.read(len(_MAGIC) + 2)
    length = int.from_bytes(start[len(_MAGIC) :], "little")
    matched = _DESCRIPTION.fullmatch(file.read(length))
    if not start.startswith(_MAGIC) or matched is None:
        raise ValueError(f"{_shown(name)} is no array of numbers as numpy writes it")
    shape = tuple(int(digits) for digits in re.findall(rb"\d+", matched[2]))
    return (matched[1].decode("ascii"), shape), len(start) + length


def _content(
    file: IO[bytes], name: str, dtype: np.dtype[Any], shape: tuple[int, ...], size: int
) -> NDArray[Any]:
    """The numbers of a member that has so many bytes of them."""
    expected = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size != expected:
        raise ValueError(f"{_shown(name)} holds {size} bytes, {expected} are expected of {shape} {dtype}")
    array = np.empty(shape, dtype)
    rest = array.reshape(-1).view(np.uint8).data
    while len(rest):
        # In pieces: zipfile makes a copy of all that it is asked for.
        chunk = file.read(min(len(rest), _CHUNK))
        if not chunk:
            raise EOFError(f"{name} ends early")
        rest[: len(chunk)] = chunk
        rest = rest[len(chunk) :]
    return array


def _expect(
    name: str, came: tuple[str, tuple[int, ...]] | None, dtype: DTypeLike, shape: tuple[int, ...]
) -> None:
    expected = (np.dtype(dtype).newbyteorder("<").str, shape)
    if came != expected:
        found = "missing" if came is None else f"{came[1]} {_type_name(came[0])}"
        raise ValueError(f"array {name} is {found}, {shape} {_type_name(expected[0])} is expected")


def _type_name(code: str) -> str:
    """`float32` for `<f4`; other codes, which may be of no type at all, as they are."""
    kinds = {"b": "bool", "i": "int", "u": "uint", "f": "float"}
    return f"{kinds[code[1]]}{8 * int(code[2:])}" if code[0] in "<|" and code[1] in kinds else code


def _expect_nothing_more(rest: Mapping[str, Any]) -> None:
    if rest:
        raise ValueError(f"it holds {_shown(min(rest))}, which is no part of it")


def _shown(name: str) -> str:
    """A name from outside, in few letters that every terminal can show."""
    return ascii(name[:40])
