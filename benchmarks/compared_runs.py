"""Figures of runs, and tables that compare them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Widths of the columns of names and of figures.
NAME_WIDTH, FIGURE_WIDTH = 40, 12


@dataclass(frozen=True)
class Figure:
    """A number with its unit."""

    value: float
    unit: str = ""

    def __str__(self) -> str:
        digits = 1 if abs(self.value) < 100 else 0
        return f"{self.value:{FIGURE_WIDTH}.{digits}f} {self.unit}".rstrip()


Figures = Mapping[str, Figure]


def show(name: str, figure: Figure | str) -> None:
    """Print a line of a table."""
    print(f"{name:<{NAME_WIDTH}}{figure}", flush=True)


def medians(runs: Sequence[Figures]) -> dict[str, Figure]:
    """The median of each figure over the runs that have it, in the order of the first run that does."""
    names = dict.fromkeys(name for run in runs for name in run)
    values = {name: [run[name] for run in runs if name in run] for name in names}
    return {
        name: Figure(statistics.median(figure.value for figure in figures), figures[0].unit)
        for name, figures in values.items()
    }


def show_comparison(this: Sequence[Figures], other: Sequence[Figures]) -> None:
    """Print the medians of two lots of runs, and the first as a multiple of the second."""
    ours, theirs = medians(this), medians(other)
    columns = "".join(f"{title:>{FIGURE_WIDTH}}" for title in ("this", "other", "this/other"))
    print(f"{f'medians of {len(this)} and {len(other)} runs':<{NAME_WIDTH}}{columns}")
    for name, figure in ours.items():
        if name not in theirs:
            continue
        base = theirs[name].value
        ratio = f"{figure.value / base:{FIGURE_WIDTH}.2f}" if base else f"{'':{FIGURE_WIDTH}}"
        values = f"{figure.value:{FIGURE_WIDTH}.1f}{base:{FIGURE_WIDTH}.1f}{ratio}"
        print(f"{name:<{NAME_WIDTH}}{values}   {figure.unit}", flush=True)
