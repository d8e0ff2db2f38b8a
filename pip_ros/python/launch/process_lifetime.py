"""A process of a launch, from its start to its end for good."""

from __future__ import annotations

import asyncio
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, cast

from launch.child_process import STDOUT, ChildProcess
from launch.event import Event
from launch.event_handler import BaseEventHandler
from launch.event_handlers.on_shutdown import OnShutdown
from launch.events.process import (
    ProcessExited,
    ProcessStarted,
    ProcessStderr,
    ProcessStdout,
    ProcessTargetedEvent,
    ShutdownProcess,
    SignalProcess,
)
from launch.events.shutdown import Shutdown
from launch.logging import get_logger
from launch.process_output import ProcessOutput

if TYPE_CHECKING:
    from launch.actions.execute_process import ExecuteProcess
    from launch.launch_context import LaunchContext


@dataclass(frozen=True)
class ProcessSpecification:
    """What is to be run, and how it is to be ended. Times are in seconds."""

    name: str
    cmd: list[str]
    cwd: str | None
    env: dict[str, str]
    shell: bool
    emulate_tty: bool
    log_cmd: bool
    sigterm_timeout: float
    sigkill_timeout: float
    respawn: bool
    respawn_delay: float
    respawn_max_retries: int


class ProcessDetails(TypedDict):
    """What the events of a process tell about it."""

    action: ExecuteProcess
    name: str
    cmd: list[str]
    cwd: str | None
    env: dict[str, str]
    pid: int


class ProcessLifetime:
    """Runs a process, again if it respawns, and ends it when asked to or when the launch shuts down."""

    def __init__(
        self,
        action: ExecuteProcess,
        specification: ProcessSpecification,
        output: ProcessOutput,
        context: LaunchContext,
    ) -> None:
        self._action = action
        self._specification = specification
        self._output = output
        self._context = context
        self._logger = get_logger(specification.name)
        self._child: ChildProcess | None = None
        self._ending = asyncio.Event()
        self._escalation: asyncio.Task[None] | None = None
        self.details: ProcessDetails | None = None
        self.return_code: int | None = None

    async def run(self) -> None:
        """Run the process until it has ended for good."""
        handlers = [
            OnShutdown(on_shutdown=self._on_shutdown),
            _OnRequest(self._action, self._on_request),
        ]
        for handler in handlers:
            self._context.register_event_handler(handler)
        retries = 0
        try:
            while await self._run_once() and self._specification.respawn and not self._ending.is_set():
                if retries == self._specification.respawn_max_retries:
                    break
                retries += 1
                if await self._ends_within(self._specification.respawn_delay):
                    break
        finally:
            for handler in handlers:
                self._context.unregister_event_handler(handler)

    async def _run_once(self) -> bool:
        """Run the process once; return False where it could not be started."""
        specification = self._specification
        if specification.log_cmd:
            self._logger.info(
                f"process details: cmd='{' '.join(specification.cmd)}', cwd='{specification.cwd}'"
            )
        try:
            child = await ChildProcess.start(
                specification.cmd,
                cwd=specification.cwd,
                env=specification.env,
                shell=specification.shell,
                emulate_tty=specification.emulate_tty,
            )
        except OSError:
            self._logger.error(f"exception occurred while executing process:\n{traceback.format_exc()}")
            return False
        self._child = child
        self.details = {
            "action": self._action,
            "name": specification.name,
            "cmd": specification.cmd,
            "cwd": specification.cwd,
            "env": specification.env,
            "pid": child.pid,
        }
        self._logger.info(f"process started with pid [{child.pid}]")
        self._context.emit_event_sync(ProcessStarted(**self.details))
        if self._ending.is_set():  # asked to end while it was being started
            self._end()
        returncode = await child.wait(self._on_output)
        if self._escalation is not None:
            self._escalation.cancel()
        self._output.flush()
        self.return_code = returncode
        if returncode == 0:
            self._logger.info(f"process has finished cleanly [pid {child.pid}]")
        else:
            cmd = " ".join(specification.cmd)
            self._logger.error(f"process has died [pid {child.pid}, exit code {returncode}, cmd '{cmd}'].")
        self._context.emit_event_sync(ProcessExited(returncode=returncode, **self.details))
        self._child = None
        return True

    async def _ends_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._ending.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    def _on_output(self, fd: int, data: bytes) -> None:
        self._output.write(fd, data)
        details = cast(ProcessDetails, self.details)  # set before output is read
        if fd == STDOUT:
            self._context.emit_event_sync(ProcessStdout(text=data, fd=fd, **details))
        else:
            self._context.emit_event_sync(ProcessStderr(text=data, fd=fd, **details))

    def _on_shutdown(self, event: Shutdown, context: LaunchContext) -> None:
        self._end()

    def _on_request(self, event: Event) -> None:
        if isinstance(event, SignalProcess):
            self._send(event.signal)
        elif isinstance(event, ShutdownProcess):
            self._end()

    def _end(self) -> None:
        self._ending.set()
        if self._child is None or self._child.returncode is not None or self._escalation is not None:
            return
        # As Ctrl-C in a terminal does: a shell, for one, waits for its child before it heeds a signal.
        self._send(signal.SIGINT, to_group=True)
        self._escalation = asyncio.ensure_future(self._escalate())

    async def _escalate(self) -> None:
        waited = 0.0
        previous = "SIGINT"
        for number, seconds in (
            (signal.SIGTERM, self._specification.sigterm_timeout),
            (signal.SIGKILL, self._specification.sigkill_timeout),
        ):
            await asyncio.sleep(seconds)
            waited += seconds
            self._logger.error(
                f"process[{self._specification.name}] failed to terminate '{waited:g}' seconds after receiving "
                f"'{previous}', escalating to '{number.name}'"
            )
            self._send(number, to_group=True)
            previous = number.name

    def _send(self, number: signal.Signals, *, to_group: bool = False) -> None:
        name = self._specification.name
        if self._child is None or self._child.returncode is not None:
            self._logger.debug(f"signal '{number.name}' not sent to '{name}' because it has closed already")
            return
        self._logger.info(f"sending signal '{number.name}' to process[{name}]")
        try:
            self._child.send_signal(number, to_group=to_group)
        except ProcessLookupError:
            self._logger.debug(f"signal '{number.name}' not sent to '{name}' because it has closed already")


class _OnRequest(BaseEventHandler):
    """Passes on what is asked of the process of an action."""

    def __init__(self, action: ExecuteProcess, on_request: Callable[[Event], None]) -> None:
        def is_asked(event: Event) -> bool:
            return isinstance(event, ProcessTargetedEvent) and event.process_matcher(action)

        super().__init__(matcher=is_asked)
        self._on_request = on_request

    def handle(self, event: Event, context: LaunchContext) -> None:
        """Pass the event on."""
        super().handle(event, context)
        self._on_request(event)
