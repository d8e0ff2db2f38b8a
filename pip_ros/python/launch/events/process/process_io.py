"""Output of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.events.process.running_process_event import RunningProcessEvent

if TYPE_CHECKING:
    from launch.actions.execute_process import ExecuteProcess

_STDIN, _STDOUT, _STDERR = 0, 1, 2


class ProcessIO(RunningProcessEvent):
    """A piece of output, not necessarily whole lines.

    Args:
        text: the bytes that were written.
        fd: file descriptor that they were written to: 1 or 2.
    """

    name = "launch.events.process.ProcessIO"

    def __init__(
        self,
        *,
        text: bytes,
        fd: int,
        action: ExecuteProcess,
        name: str,
        cmd: list[str],
        cwd: str | None,
        env: dict[str, str],
        pid: int,
    ) -> None:
        super().__init__(action=action, name=name, cmd=cmd, cwd=cwd, env=env, pid=pid)
        self.__text = text
        self.__fd = fd

    @property
    def text(self) -> bytes:
        """Return the bytes that were written."""
        return self.__text

    @property
    def from_stdin(self) -> bool:
        """Return whether the text went to the standard input."""
        return self.__fd == _STDIN

    @property
    def from_stdout(self) -> bool:
        """Return whether the text came from the standard output."""
        return self.__fd == _STDOUT

    @property
    def from_stderr(self) -> bool:
        """Return whether the text came from the standard error."""
        return self.__fd == _STDERR


class ProcessStdout(ProcessIO):
    """A piece of the standard output."""

    name = "launch.events.process.ProcessStdout"


class ProcessStderr(ProcessIO):
    """A piece of the standard error."""

    name = "launch.events.process.ProcessStderr"
