"""Evidence in files: what one view told of one instance, and what was made of it, for whoever asks later why.

A file is an archive of numpy arrays. One of them, `header`, is UTF-8 JSON with the name and version of the format, and
everything that is no array; see `evidence_content`. Numbers come back bit by bit: judged, refined or reconstructed
anew, what was read gives what it gave before. A file may come from anywhere: it can neither run anything nor fill the
memory.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import numpy as np

from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.recorded.array_archive import DAMAGE, ArrayArchive, write_arrays
from sam3d_ros.perception.recorded.evidence_content import RecordedEvidence, packed, unpacked
from sam3d_ros.perception.recorded.header_fields import parsed

__all__ = ["SUFFIX", "EvidenceFileError", "RecordedEvidence", "read_evidence", "write_evidence"]

#: How the name of a file of evidence ends.
SUFFIX = ".evidence.npz"
_HEADER = "header"
#: Bytes; the names of all classes take the most.
_LARGEST_HEADER = 2**21


class EvidenceFileError(ValueError):
    """A file of evidence cannot be used; the message is one line: the file, what is wrong, what to do."""


def write_evidence(
    path: str | Path, evidence: Evidence, estimate: ObjectEstimate | None = None, *, full_view: bool = True
) -> None:
    """Write evidence to a file, which appears complete or not at all.

    Args:
        path: the file, `NAME.evidence.npz`; one that is there is replaced.
        evidence: what a view told of an instance.
        estimate: what was made of it, with its verdict.
        full_view: write the full images, too, which the networks want to see. Without them the file is as small as the
            instance is in the image; everything else works with it all the same.

    Raises:
        EvidenceFileError: the name ends otherwise, or the content is such that `read_evidence` would refuse it.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIX):
        raise EvidenceFileError(f"{path} does not end in {SUFFIX}: name it {path.name.split('.')[0]}{SUFFIX}")
    try:
        header, arrays = packed(evidence, estimate, full_view=full_view)
        text = json.dumps(header, allow_nan=False).encode("ascii")
        if len(text) > _LARGEST_HEADER:
            raise ValueError(f"its header has {len(text)} bytes, at most {_LARGEST_HEADER} are read")
    except ValueError as error:
        raise EvidenceFileError(
            f"{path} is not written, for it could not be read: {_one_line(error)}: mend the evidence or estimate"
        ) from error
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with part.open("xb") as file:
            write_arrays(file, {_HEADER: np.frombuffer(text, np.uint8), **arrays})
        part.replace(path)
    except ValueError as error:
        raise EvidenceFileError(
            f"{path} is not written: {_one_line(error)}: leave the full view out"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def read_evidence(path: str | Path) -> RecordedEvidence:
    """Read what `write_evidence` wrote; the arrays are new and writable.

    Args:
        path: the file; of any name, for its content tells what it is.

    Raises:
        EvidenceFileError: it is missing, damaged, something else, of another version, too large, or contradicts itself.
    """
    path = Path(path)
    try:
        # What is no file (a pipe, a device) might never end.
        if not path.is_file():
            raise FileNotFoundError("it is no file" if path.exists() else "it does not exist")
        with path.open("rb") as file:
            archive = ArrayArchive(file)
            return unpacked(parsed(archive.take_bytes(_HEADER, _LARGEST_HEADER)), archive)
    except ValueError as error:
        raise EvidenceFileError(
            f"{path} cannot be used as evidence: {_one_line(error)}: write it with this version of sam3d_ros"
        ) from error
    except DAMAGE as error:
        raise EvidenceFileError(
            f"{path} cannot be read ({_one_line(error) or type(error).__name__}): give a whole file NAME{SUFFIX}"
        ) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
