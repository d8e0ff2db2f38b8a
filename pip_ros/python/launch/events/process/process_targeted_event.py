"""Something that is asked of a process."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from launch.event import Event

if TYPE_CHECKING:
    from launch.actions.execute_process import ExecuteProcess


class ProcessTargetedEvent(Event):
    """Base of the events that ask something of the processes that a matcher accepts."""

    name = "launch.events.process.ProcessTargetedEvent"

    def __init__(self, *, process_matcher: Callable[[ExecuteProcess], bool]) -> None:
        self.__process_matcher = process_matcher

    @property
    def process_matcher(self) -> Callable[[ExecuteProcess], bool]:
        """Return the predicate on actions that tells which processes are meant."""
        return self.__process_matcher


class ShutdownProcess(ProcessTargetedEvent):
    """The process is to end: SIGINT, then SIGTERM, then SIGKILL."""

    name = "launch.events.process.ShutdownProcess"


class SignalProcess(ProcessTargetedEvent):
    """The process is to get a signal.

    Args:
        signal_number: number or name, e.g. ``"SIGUSR1"``.
    """

    name = "launch.events.process.SignalProcess"

    def __init__(
        self,
        *,
        signal_number: str | signal.Signals,
        process_matcher: Callable[[ExecuteProcess], bool],
    ) -> None:
        super().__init__(process_matcher=process_matcher)
        if isinstance(signal_number, str):
            self.__signal = signal.Signals[signal_number]
        else:
            self.__signal = signal.Signals(signal_number)

    @property
    def signal(self) -> signal.Signals:
        """Return the signal."""
        return self.__signal

    @property
    def signal_name(self) -> str:
        """Return the name of the signal."""
        return self.__signal.name
