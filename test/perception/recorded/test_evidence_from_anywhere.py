"""Files of evidence that somebody damaged or edited: read in full, or refused in one line that names what is wrong."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_evidence import (
    as_npy,
    equal_or_refused,
    header_of,
    little_memory,
    members,
    packed,
    read_or_refused,
    refused,
    sealed,
    with_header,
)

from sam3d_ros.perception.judging.verdict import judge
from sam3d_ros.perception.recorded.evidence_files import RecordedEvidence


def test_the_good_file_is_good(path: Path, good: bytes) -> None:
    with little_memory():
        assert equal_or_refused(path, good)
    assert equal_or_refused(path, packed(members(good), zipfile.ZIP_STORED))
    assert sealed(members(good)) == packed(members(good)), "the seal is known here"


def flipped(data: bytes, random: np.random.Generator) -> bytes:
    spoilt = bytearray(data)
    for at in random.integers(0, len(data), random.integers(1, 4)):
        spoilt[at] ^= int(random.integers(1, 256))
    return bytes(spoilt)


def flipped_outside_the_content(data: bytes, random: np.random.Generator) -> bytes:
    """In the table of contents, where most bytes mean something."""
    start = data.index(b"PK\x01\x02")
    return data[:start] + flipped(data[start:], random)


def truncated(data: bytes, random: np.random.Generator) -> bytes:
    return data[: random.integers(0, len(data))]


def overwritten(data: bytes, random: np.random.Generator) -> bytes:
    at, size = random.integers(0, len(data)), random.integers(1, 400)
    return data[:at] + random.bytes(size) + data[at + size :]


def shifted(data: bytes, random: np.random.Generator) -> bytes:
    """With bytes in between, or without some."""
    at, size = random.integers(0, len(data)), random.integers(1, 40)
    return data[:at] + (random.bytes(size) if random.random() < 0.5 else b"") + data[at + size // 2 :]


def exchanged(data: bytes, random: np.random.Generator) -> bytes:
    """Two members under each other's names."""
    content = members(data)
    one, other = random.choice(list(content), 2, replace=False)
    return packed({**content, one: content[other], other: content[one]}, zipfile.ZIP_STORED)


def flipped_inside_a_member(data: bytes, random: np.random.Generator) -> bytes:
    """Beneath the checksum of zip: in the description or the numbers of an array."""
    content = members(data)
    name = str(random.choice(list(content)))
    start = 128 if random.random() < 0.5 else 0
    spoilt = content[name][:start] + flipped(content[name][start : start + 128], random)
    return packed({**content, name: spoilt + content[name][start + 128 :]}, zipfile.ZIP_STORED)


def edited(data: bytes, random: np.random.Generator) -> bytes:
    """With another header, under the old seal."""
    header = header_of(data)
    ways = list(places(header))
    spoilt = replaced(header, ways[random.integers(len(ways))], WRONG[random.integers(len(WRONG))])
    text = np.frombuffer(json.dumps(spoilt).encode(), np.uint8)
    return packed({**members(data), "header.npy": as_npy(text)}, zipfile.ZIP_STORED)


SPOIL = (
    flipped,
    flipped_outside_the_content,
    truncated,
    overwritten,
    shifted,
    exchanged,
    flipped_inside_a_member,
    edited,
)


@pytest.mark.parametrize("spoil", SPOIL)
def test_a_damaged_file_is_equal_or_refused(
    path: Path, good: bytes, spoil: Callable[[bytes, np.random.Generator], bytes]
) -> None:
    random = np.random.default_rng(1)
    read = [equal_or_refused(path, spoil(good, random)) for _ in range(100)]
    assert read.count(False) > 20


#: What may stand where anything else belongs.
WRONG = (
    *(None, True, -1, 0, 1, 3.5, 2**16, 2**40, 10**19, -1e-300, 1e300, float("nan"), float("inf")),
    *("", "x", "\ud800", [], [1], ["a", 2], [[]], {}, {"a": 1}),
)


def places(content: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a JSON value."""
    if way:
        yield way
    if isinstance(content, dict | list):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield from places(content[key], (*way, key))


def replaced(content: Any, way: tuple[Any, ...], value: Any) -> Any:
    spoilt = deepcopy(content)
    inner = spoilt
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    return spoilt


def judged(read: RecordedEvidence) -> None:
    """What is read can be worked with, whatever it says."""
    if read.estimate is not None:
        with np.errstate(all="ignore"):
            judge(read.evidence, read.estimate)


def test_an_edited_header_is_refused_or_makes_sense(path: Path, good: bytes) -> None:
    """Under a seal that is right."""
    header = header_of(good)
    random = np.random.default_rng(2)
    ways = list(places(header))
    cases = [(way, value) for way in ways for value in WRONG]
    read = 0
    for index in random.permutation(len(cases))[:450]:
        found = read_or_refused(path, with_header(good, replaced(header, *cases[index])))
        if found is not None:
            read += 1
            judged(found)
    # Labels, stamps and the like may be what they want.
    assert 20 < read < 200


def test_every_entry_of_the_header_is_needed_and_no_other(path: Path, good: bytes) -> None:
    header = header_of(good)
    sections = [way for way in [(), *places(header)] if isinstance(at(header, way), dict)]
    assert len(sections) == 14
    for way in sections:
        for key in at(header, way):
            spoilt = deepcopy(header)
            del at(spoilt, way)[key]
            refused(path, with_header(good, spoilt), f"lacks {key}")
        spoilt = deepcopy(header)
        at(spoilt, way)["more\x1b"] = 1
        refused(path, with_header(good, spoilt), "'more\\x1b', which is no part of it")


def at(content: Any, way: tuple[Any, ...]) -> Any:
    for key in way:
        content = content[key]
    return content


HEADERS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no JSON": (lambda h: b"{", "is no JSON"),
    "no UTF-8": (lambda h: b"\xff", "is no JSON"),
    "empty": (lambda h: b"", "is no JSON"),
    "a list": (lambda h: [h], "a list of 1, an object is expected"),
    "nested a million times": (lambda h: b"[" * 10**6, "cannot be read"),
    "a number of a million digits": (lambda h: b'{"a": ' + b"1" * 10**6 + b"}", "a number of 1000000 digits"),
    "NaN": (lambda h: {**h, "pixels": float("nan")}, "it has NaN"),
    "the same key twice": (lambda h: b'{"a": 1, ' + json.dumps(h).encode()[1:] + b"", "no part of it"),
    "another format": (lambda h: {**h, "format": "photo"}, "'photo', 'sam3d_ros evidence' is expected"),
    "another version": (lambda h: {**h, "version": 1}, "of version 1, 2 is expected"),
    "longer than any": (lambda h: {**h, "label": "x" * 3_000_000}, "at most 2097152 are read"),
    "a window beyond the image": (lambda h: {**h, "window": [0, 20, 5, 35]}, "expected"),
    "a window turned over": (lambda h: {**h, "window": [20, 0, 0, 30]}, "holds no pixel"),
    "a window of 4 billion pixels": (lambda h: {**h, "window": [0, 2**16, 0, 2**16]}, "is expected"),
    "a mirrored pose": (
        lambda h: replaced(h, ("estimate", "camera_from_object", "rotation"), [1, 0, 0, 0, 1, 0, 0, 0, -1]),
        "not a proper rotation",
    ),
    "a lens that folds the image": (
        lambda h: replaced(
            replaced(h, ("overview", "camera", "distortion_model"), "plumb_bob"),
            ("overview", "camera", "distortion"),
            [-1e9, 0, 0, 0],
        ),
        "bend the image back at its centre",
    ),
    "more vertices than there are": (lambda h: replaced(h, ("estimate", "vertices"), 21), "(21, 3) float32"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_is_none_is_named(path: Path, good: bytes, name: str) -> None:
    edit, message = HEADERS[name]
    data = with_header(good, edit(header_of(good)))
    with little_memory():
        refused(path, data, message)


def test_a_key_is_there_once(path: Path, good: bytes) -> None:
    text = json.dumps(header_of(good)).encode()
    refused(path, with_header(good, text.replace(b'"pixels":', b'"pixels": 7, "pixels":')), "same key twice")


ARRAYS: dict[str, tuple[str, Callable[[np.ndarray], Any], str]] = {
    "another type": ("rgb", lambda a: a.astype(np.int16), "is expected"),
    "another byte order": ("points", lambda a: a.astype(">f4"), "no array of numbers as numpy writes it"),
    "the order of Fortran": ("points", np.asfortranarray, "no array of numbers as numpy writes it"),
    "a row less": ("labels", lambda a: a[:-1], "array labels is"),
    "another axis": ("labels", lambda a: a[None], "array labels is"),
    "a number alone": ("covariance", lambda a: np.float64(3.0), "array covariance is () float64"),
    "complex": ("covariance", lambda a: a.astype(complex), "no array of numbers"),
    "records": ("covariance", lambda a: np.zeros((6, 6), [("a", "f4")]), "no array of numbers"),
    "dates": ("covariance", lambda a: np.zeros((6, 6), "M8[s]"), "no array of numbers"),
    "NaN where there is none": ("covariance", lambda a: a * np.nan, "finite numbers are expected"),
    "vertices at infinity": ("mesh.vertices", lambda a: a * np.float32(np.inf), "NaN or Inf"),
    "indices out of range": ("mesh.triangles", lambda a: a + np.uint32(20), "there are 20 vertices"),
    "an instance elsewhere": ("labels", lambda a: a[::-1], "is expected"),
    "no instance": ("labels", lambda a: a * np.uint16(0), "has 0 pixels"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_another_is_named(path: Path, good: bytes, name: str) -> None:
    member, spoil, message = ARRAYS[name]
    content = members(good)
    array = np.load(io.BytesIO(content[f"{member}.npy"]))
    refused(path, sealed({**content, f"{member}.npy": as_npy(spoil(array))}), message)


def test_every_array_is_needed_and_no_other(path: Path, good: bytes) -> None:
    content = members(good)
    for name in content:
        rest = {key: data for key, data in content.items() if key != name}
        refused(path, packed(rest), f"array {name.removesuffix('.npy')} is missing")
    refused(
        path, sealed({**content, "more\x1b.npy": as_npy(np.zeros(3))}), "it holds 'more\\x1b', which is no"
    )
