"""Tables of measurements that survive the process that makes them: each row is on disk once it is there."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

Cell = str | float | int | bool | None


@dataclass(eq=False)
class Table:
    """Rows under columns, with notes below.

    Attributes:
        columns: their names.
        path: the file that is written anew with each row; None for none.
    """

    columns: Sequence[str]
    path: Path | None = None
    rows: list[list[Cell]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, *cells: Cell) -> None:
        """Append a row."""
        self.rows.append(list(cells))
        self.save()

    def note(self, text: str) -> None:
        """Append a note."""
        self.notes.append(text)
        self.save()

    def save(self) -> None:
        """Write what there is."""
        if self.path is not None:
            self.path.write_text(json.dumps(self.record()))

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"columns": list(self.columns), "rows": self.rows, "notes": self.notes}


def read_table(path: Path) -> Table | None:
    """What a process left; None where it left nothing."""
    if not path.is_file():
        return None
    record = json.loads(path.read_text())
    return Table(record["columns"], None, record["rows"], record["notes"])


def markdown(table: Table) -> str:
    """The table as Markdown."""
    lines = [" | ".join(table.columns), " | ".join("---" for _ in table.columns)]
    lines += [" | ".join(_text(cell) for cell in row) for row in table.rows]
    rows = "\n".join(f"| {line} |" for line in lines) if table.rows else ""
    return "\n\n".join(filter(None, [rows, *table.notes]))


def _text(cell: Cell) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.3g}" if abs(cell) < 1000 else f"{cell:.0f}"
    return "" if cell is None else str(cell).replace("|", "/").replace("\n", " ")


def milliseconds(call: Callable[[], object], device: torch.device, repeats: int = 5) -> float:
    """Median time of a call after two that are not counted, until the device is done."""
    timings = []
    for turn in range(repeats + 2):
        wait_for(device)
        began = time.perf_counter()
        call()
        wait_for(device)
        if turn >= 2:
            timings.append(1e3 * (time.perf_counter() - began))
    return statistics.median(timings)


def wait_for(device: torch.device) -> None:
    """Until the device is done with what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
