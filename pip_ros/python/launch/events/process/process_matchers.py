"""Predicates that choose processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch.actions.execute_process import ExecuteProcess


def matches_pid(pid: int) -> Callable[[ExecuteProcess], bool]:
    """Return the predicate that accepts the process of this id."""
    return lambda action: action.process_details is not None and action.process_details["pid"] == pid


def matches_name(name: str) -> Callable[[ExecuteProcess], bool]:
    """Return the predicate that accepts the process of this name, e.g. ``talker-1``."""
    return lambda action: action.process_details is not None and action.process_details["name"] == name


def matches_executable(executable: str) -> Callable[[ExecuteProcess], bool]:
    """Return the predicate that accepts the processes of an executable, given by path or base name."""

    def accepts(action: ExecuteProcess) -> bool:
        details = action.process_details
        return details is not None and executable in (details["cmd"][0], Path(details["cmd"][0]).name)

    return accepts
