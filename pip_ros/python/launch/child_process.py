"""A child process whose output is read as it comes."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

STDOUT, STDERR = 1, 2

# A grandchild may keep the pipes open long after the child has ended: output is awaited for this time (s).
_LAST_OUTPUT_TIMEOUT = 1.0
_READ_SIZE = 65536

OnOutput = Callable[[int, bytes], None]


class ChildProcess(asyncio.SubprocessProtocol):
    """A running process; made by ``start``."""

    def __init__(self) -> None:
        self._on_output: OnOutput | None = None
        self._early_output: list[tuple[int, bytes]] = []
        loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[None] = loop.create_future()
        self._pipes_closed: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.SubprocessTransport | None = None
        self._terminals: list[_Terminal] = []

    @classmethod
    async def start(
        cls,
        cmd: Sequence[str],
        *,
        cwd: str | None,
        env: Mapping[str, str],
        shell: bool,
        emulate_tty: bool,
    ) -> ChildProcess:
        """Start a process in a session of its own: signals for the group of this process do not reach it.

        Args:
            cmd: the command line; with ``shell`` its parts are joined with spaces.
            cwd: working directory; None: that of this process.
            env: the whole environment.
            shell: let a shell interpret the command line.
            emulate_tty: give the process terminals as standard output and error, so that it writes in colour
                and line by line.
            on_output: see the class.

        Raises:
            OSError: the process could not be started.
        """
        child = cls()
        streams: dict[str, Any] = {
            "stdin": asyncio.subprocess.PIPE,
            "stdout": asyncio.subprocess.PIPE,
            "stderr": asyncio.subprocess.PIPE,
        }
        if emulate_tty:
            child._terminals = [_Terminal(fd, child.pipe_data_received) for fd in (STDOUT, STDERR)]
            streams["stdout"], streams["stderr"] = (terminal.inner for terminal in child._terminals)
        loop = asyncio.get_running_loop()
        keywords: dict[str, Any] = {"cwd": cwd, "env": dict(env), "start_new_session": True, **streams}
        try:
            if shell:
                transport, _ = await loop.subprocess_shell(lambda: child, " ".join(cmd), **keywords)
            else:
                transport, _ = await loop.subprocess_exec(lambda: child, *cmd, **keywords)
        except OSError:
            for terminal in child._terminals:
                terminal.close()
            raise
        finally:
            for terminal in child._terminals:
                terminal.close_inner()
        child._transport = transport
        return child

    @property
    def transport(self) -> asyncio.SubprocessTransport:
        """Return the transport of the process."""
        if self._transport is None:
            raise RuntimeError("the process has not been started")
        return self._transport

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.transport.get_pid()

    @property
    def returncode(self) -> int | None:
        """Return the exit code, negative for a signal; None while the process runs."""
        return self.transport.get_returncode()

    def send_signal(self, number: signal.Signals, *, to_group: bool = False) -> None:
        """Send a signal; ProcessLookupError where the process has ended.

        Args:
            number: the signal.
            to_group: to the processes that the process has started, too, as Ctrl-C in a terminal does.
        """
        if to_group:
            os.killpg(self.pid, number)
        else:
            self.transport.send_signal(number)

    async def wait(self, on_output: OnOutput) -> int:
        """Wait until the process has ended and its output is read; return the exit code.

        Args:
            on_output: called in the loop with the file descriptor (1 or 2) and the bytes that were read.
        """
        for fd, data in self._early_output:
            on_output(fd, data)
        self._on_output = on_output
        await self._exited
        closed = [self._pipes_closed, *(terminal.closed for terminal in self._terminals)]
        await asyncio.wait(closed, timeout=_LAST_OUTPUT_TIMEOUT)
        self.transport.close()
        for terminal in self._terminals:
            terminal.close()
        return cast(int, self.transport.get_returncode())

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Pass output on (called by asyncio)."""
        if self._on_output is None:
            self._early_output.append((fd, data))
        else:
            self._on_output(fd, data)

    def process_exited(self) -> None:
        """Note the end of the process (called by asyncio)."""
        self._exited.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that all pipes are closed (called by asyncio)."""
        if not self._pipes_closed.done():
            self._pipes_closed.set_result(None)


class _Terminal:
    """A pseudo terminal: the process writes into its inner end, the launch reads from the outer one."""

    def __init__(self, fd: int, on_output: OnOutput) -> None:
        self._fd = fd
        self._on_output = on_output
        self._outer, self.inner = pty.openpty()
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._outer, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._outer, _READ_SIZE)
        except OSError:  # EIO: the last process that held the inner end has closed it
            data = b""
        if data:
            self._on_output(self._fd, data.replace(b"\r\n", b"\n"))
        else:
            self.close()

    def close_inner(self) -> None:
        os.close(self.inner)

    def close(self) -> None:
        if not self.closed.done():
            self._loop.remove_reader(self._outer)
            os.close(self._outer)
            self.closed.set_result(None)
