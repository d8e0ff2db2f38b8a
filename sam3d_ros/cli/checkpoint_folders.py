"""What is said about folders of weights, whosever they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from sam3d_ros.cli.errors import InputError


def existing(folder: Path) -> None:
    """Refuse a folder that is none.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: get the weights with `sam3d-ros checkpoints download`")


def print_states(files: Iterable[tuple[str, str, bool, bool]]) -> None:
    """Print a table of official files: name, what for, whether there, whether converted."""
    rows = [("official file", "needed", "there", "converted")]
    rows += [(name, needed, _yes(present), _yes(converted)) for name, needed, present, converted in files]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def report_faults(faults: Mapping[str, str], remedy: str) -> None:
    """Print what was found about each converted file.

    Args:
        faults: file -> what is wrong with it; empty where it is sound.
        remedy: command that writes them anew.

    Raises:
        InputError: one is not sound.
    """
    for file, fault in faults.items():
        print(f"{file}: {fault or 'sound'}")
    if faulty := [file for file, fault in faults.items() if fault]:
        raise InputError(
            f"{len(faulty)} of {len(faults)} files cannot be used, first {faulty[0]}: it {faults[faulty[0]]}; "
            f"run `{remedy}` again"
        )


def _yes(value: bool) -> str:
    return "yes" if value else "no"
