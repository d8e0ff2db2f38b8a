"""A process ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.events.process.running_process_event import RunningProcessEvent

if TYPE_CHECKING:
    from launch.actions.execute_process import ExecuteProcess


class ProcessExited(RunningProcessEvent):
    """A process ended.

    Args:
        returncode: its exit code; the negative signal number where a signal ended it.
    """

    name = "launch.events.process.ProcessExited"

    def __init__(
        self,
        *,
        returncode: int,
        action: ExecuteProcess,
        name: str,
        cmd: list[str],
        cwd: str | None,
        env: dict[str, str],
        pid: int,
    ) -> None:
        super().__init__(action=action, name=name, cmd=cmd, cwd=cwd, env=env, pid=pid)
        self.__returncode = returncode

    @property
    def returncode(self) -> int:
        """Return the exit code; the negative signal number where a signal ended the process."""
        return self.__returncode
