"""The table of the demo: what was found, beside what is there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

_COLUMNS = ("id", "label", "position m", "size cm", "d pos mm", "d size mm", "verdict", "mesh ms")
_WIDTHS = (4, 18, 22, 18, 9, 10, 10, 8)


@dataclass(frozen=True, eq=False)
class Box:
    """A box in the optical frame.

    Attributes:
        object_id, label: the object.
        center: (3,) metres.
        size: (3,) full lengths along the box's own axes, metres.
    """

    object_id: int
    label: str
    center: NDArray[np.float64]
    size: NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """What the graph says of an object it found.

    Attributes:
        verdict: state.
        reasons: why it is not ACCEPTED.
        mesh_seconds: from the stamp of the image that the mesh was made from to its publication.
    """

    verdict: str
    reasons: tuple[str, ...]
    mesh_seconds: float


@dataclass(frozen=True)
class Row:
    """One line of the table; metres and seconds, NaN = not known.

    Attributes:
        object_id: id of the object that was found; None = it was not.
        label: class name.
        position: centre of the box in the optical frame.
        size: full lengths of the box, longest first.
        position_error: distance of the centre from the true one.
        size_error: greatest difference of a length from the true one, both sorted.
        verdict, reasons, mesh_seconds: see `Judgement`.
    """

    object_id: int | None
    label: str
    position: tuple[float, ...]
    size: tuple[float, ...]
    position_error: float = math.nan
    size_error: float = math.nan
    verdict: str = "NOT FOUND"
    reasons: tuple[str, ...] = ()
    mesh_seconds: float = math.nan


def rows(found: Sequence[tuple[Box, Judgement]], truth: Sequence[Box]) -> list[Row]:
    """The objects that were found, in the order of their ids, then those that were not."""
    partner = match([box for box, _ in found], truth)
    table = []
    for index, (box, judgement) in enumerate(found):
        true = truth[partner[index]] if index in partner else None
        size = np.sort(box.size)[::-1]
        table.append(
            Row(
                object_id=box.object_id,
                label=box.label,
                position=tuple(box.center.tolist()),
                size=tuple(size.tolist()),
                position_error=math.nan if true is None else float(np.linalg.norm(box.center - true.center)),
                size_error=math.nan if true is None else float(np.abs(size - np.sort(true.size)[::-1]).max()),
                verdict=judgement.verdict,
                reasons=judgement.reasons,
                mesh_seconds=judgement.mesh_seconds,
            )
        )
    table.sort(key=lambda row: row.object_id or 0)
    missing = set(range(len(truth))) - set(partner.values())
    for index in sorted(missing):
        box = truth[index]
        table.append(
            Row(None, box.label, tuple(box.center.tolist()), tuple(np.sort(box.size)[::-1].tolist()))
        )
    return table


def match(found: Sequence[Box], truth: Sequence[Box]) -> dict[int, int]:
    """Index of a found box -> index of its true one, by least distance of the centres.

    A pair farther apart than half the diagonal of the true box is none.
    """
    if not found or not truth:
        return {}
    offset = np.array([box.center for box in found])[:, None] - np.array([box.center for box in truth])[None]
    distance = np.linalg.norm(offset, axis=-1)
    pairs = zip(*linear_sum_assignment(distance), strict=True)
    return {int(i): int(j) for i, j in pairs if distance[i, j] <= np.linalg.norm(truth[j].size) / 2}


def text(table: Sequence[Row]) -> str:
    """The table for a terminal."""
    lines = [_line(_COLUMNS), _line(["-" * width for width in _WIDTHS])]
    for row in table:
        lines.append(
            _line(
                (
                    "-" if row.object_id is None else str(row.object_id),
                    row.label[: _WIDTHS[1]],
                    " ".join(f"{value:.3f}" for value in row.position),
                    " x ".join(f"{100 * value:.1f}" for value in row.size),
                    _thousandths(row.position_error),
                    _thousandths(row.size_error),
                    row.verdict,
                    _thousandths(row.mesh_seconds, digits=0),
                )
            )
        )
        if row.reasons:
            lines.append(f"{'':>{_WIDTHS[0]}}  because: {', '.join(row.reasons)}")
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def _thousandths(value: float, digits: int = 1) -> str:
    return "-" if math.isnan(value) else f"{1000 * value:.{digits}f}"
