"""Something that happened to a process of the launch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.event import Event

if TYPE_CHECKING:
    from launch.actions.execute_process import ExecuteProcess


class RunningProcessEvent(Event):
    """Base of the events that happen to a process.

    Args:
        action: the action that runs the process.
        name: name of the process, unique in the launch, e.g. ``talker-1``.
        cmd: the command line.
        cwd: working directory; None: that of the launch.
        env: environment of the process.
        pid: process id.
    """

    name = "launch.events.process.RunningProcessEvent"

    def __init__(
        self,
        *,
        action: ExecuteProcess,
        name: str,
        cmd: list[str],
        cwd: str | None,
        env: dict[str, str],
        pid: int,
    ) -> None:
        self.__action = action
        self.__name = name
        self.__cmd = cmd
        self.__cwd = cwd
        self.__env = env
        self.__pid = pid

    @property
    def action(self) -> ExecuteProcess:
        """Return the action that runs the process."""
        return self.__action

    @property
    def execute_process_action(self) -> ExecuteProcess:
        """Return the action that runs the process."""
        return self.__action

    @property
    def process_name(self) -> str:
        """Return the name of the process."""
        return self.__name

    @property
    def cmd(self) -> list[str]:
        """Return the command line."""
        return self.__cmd

    @property
    def cwd(self) -> str | None:
        """Return the working directory."""
        return self.__cwd

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of the process."""
        return self.__env

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.__pid
