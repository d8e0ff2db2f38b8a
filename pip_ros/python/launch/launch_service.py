"""What runs a launch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import traceback
from collections.abc import Awaitable, Iterable, Iterator
from typing import Any

from launch.event import Event
from launch.event_handler import as_entities
from launch.event_handlers.on_include_launch_description import OnIncludeLaunchDescription
from launch.events.include_launch_description import IncludeLaunchDescription
from launch.events.shutdown import Shutdown
from launch.launch_context import LaunchContext, _running_loop, _set_environment
from launch.launch_description import LaunchDescription
from launch.logging import get_logger, launch_config
from launch.utilities import visit_all_entities_and_collect_futures


class LaunchService:
    """Visits launch descriptions and handles events until all processes have ended.

    Args:
        argv: command line arguments, kept in the context.
        noninteractive: no terminal is there. It changes nothing: SIGINT is passed on to the children once, always.
        debug: log at the level DEBUG.
    """

    def __init__(
        self, *, argv: Iterable[str] | None = None, noninteractive: bool = False, debug: bool = False
    ) -> None:
        if debug:
            launch_config.level = logging.DEBUG
        self.__logger = get_logger("launch")
        self.__context = LaunchContext(argv=argv, noninteractive=noninteractive)
        self.__context.extend_globals({"launch_service": self})
        self.__context.register_event_handler(OnIncludeLaunchDescription())
        self.__futures: list[asyncio.Future[Any]] = []
        self.__return_code = 0
        self.__sigint_received = False
        self.__task: asyncio.Task[Any] | None = None

    @property
    def context(self) -> LaunchContext:
        """Return the state of the launch."""
        return self.__context

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop | None:
        """Return the loop that the launch runs in; None while it does not run."""
        return self.__context.asyncio_loop

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """Return the task that the launch runs in; None while it does not run."""
        return self.__task

    def emit_event(self, event: Event) -> None:
        """Queue an event; callable from every thread, before and during the run."""
        self.__context.emit_event_sync(event)

    def include_launch_description(self, launch_description: LaunchDescription) -> None:
        """Have a launch description visited; callable from every thread, before and during the run."""
        self.emit_event(IncludeLaunchDescription(launch_description))

    def shutdown(self, force_sync: bool = False) -> Awaitable[None] | None:
        """Begin the shutdown of a running launch; callable from every thread.

        Args:
            force_sync: return None in any case.

        Returns:
            Something to await where the call comes from the loop of the launch, else None.
        """
        if self.event_loop is None:
            return None
        return self._shutdown(
            reason="LaunchService.shutdown() called", due_to_sigint=False, force_sync=force_sync
        )

    def _shutdown(
        self, *, reason: str, due_to_sigint: bool, force_sync: bool = False
    ) -> Awaitable[None] | None:
        if not self.__context.is_shutdown:
            self.__context._set_is_shutdown(True)
            self.emit_event(Shutdown(reason=reason, due_to_sigint=due_to_sigint))
        loop = _running_loop()
        if force_sync or loop is None or loop is not self.event_loop:
            return None
        done: asyncio.Future[None] = loop.create_future()
        done.set_result(None)
        return done

    def run(self, *, shutdown_when_idle: bool = True) -> int:
        """Run until the launch is shut down.

        Args:
            shutdown_when_idle: shut down when nothing is left to do.

        Returns:
            0, or 1 where an action or event handler failed. The processes' exit codes do not count.
        """
        return asyncio.run(self.run_async(shutdown_when_idle=shutdown_when_idle))

    async def run_async(self, *, shutdown_when_idle: bool = True) -> int:
        """Run as ``run`` does, in the current loop; signals are handled only in the main thread."""
        if self.event_loop is not None:
            raise RuntimeError("the LaunchService runs already")
        environment = dict(os.environ)
        self.__return_code = 0
        self.__sigint_received = False
        self.__context._set_is_shutdown(False)
        self.__task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        launch_config.open_log_file()
        self.__logger.info(f"All log files can be found below {launch_config.log_dir}")
        level = logging.getLevelName(launch_config.level)
        self.__logger.info(f"Default logging verbosity is set to {level}")
        self.__context._set_asyncio_loop(loop)
        try:
            with self._signals_handled(loop):
                await self._run_until_shutdown(shutdown_when_idle)
        finally:
            self.__context._set_asyncio_loop(None)
            self.__task = None
            _set_environment(environment)
        return self.__return_code

    async def _run_until_shutdown(self, shutdown_when_idle: bool) -> None:
        queue = self.__context._event_queue
        next_event = asyncio.ensure_future(queue.get())
        try:
            while True:
                at_work = self._futures_at_work()
                if not (at_work or next_event.done() or not queue.empty()):
                    if self.__context.is_shutdown:
                        return
                    if shutdown_when_idle:
                        self._shutdown(reason="idle", due_to_sigint=False)
                await asyncio.wait([next_event, *at_work], return_when=asyncio.FIRST_COMPLETED)
                if next_event.done():
                    await self._handle(next_event.result())
                    next_event = asyncio.ensure_future(queue.get())
        finally:
            next_event.cancel()

    def _futures_at_work(self) -> list[asyncio.Future[Any]]:
        futures = self.__futures + self.__context._completion_futures
        for future in futures:
            if future.done() and not future.cancelled():
                self._report(future.exception())
        self.__context._completion_futures.clear()
        self.__futures = [future for future in futures if not future.done()]
        return self.__futures

    async def _handle(self, event: Event) -> None:
        # In a task of its own, the failure of a handler is a value: the launch can still end its processes.
        handling = asyncio.ensure_future(self._visit_handlers(event))
        await asyncio.wait([handling])
        self._report(handling.exception())

    async def _visit_handlers(self, event: Event) -> None:
        if isinstance(event, Shutdown):
            self.__context._set_is_shutdown(True)
        self.__logger.debug(f"processing event: '{event.name}'")
        for handler in tuple(self.__context._event_handlers):
            if not handler.matches(event):
                continue
            self.__context._push_locals()
            try:
                for entity in as_entities(handler.handle(event, self.__context)):
                    futures = visit_all_entities_and_collect_futures(entity, self.__context)
                    self.__futures += [future for _, future in futures]
            finally:
                self.__context._pop_locals()

    def _report(self, error: BaseException | None) -> None:
        if error is None:
            return
        self.__logger.debug("".join(traceback.format_exception(type(error), error, error.__traceback__)))
        self.__logger.error(f"Caught exception in launch (see debug for traceback): {error}")
        self.__return_code = 1
        self._shutdown(reason=str(error), due_to_sigint=False)

    def _on_sigint(self) -> None:
        message = "user interrupted with ctrl-c (SIGINT)"
        if self.__sigint_received:
            self.__logger.warning(f"{message} again, ignoring...")
            return
        self.__sigint_received = True
        self.__logger.warning(message)
        self._shutdown(reason="ctrl-c (SIGINT)", due_to_sigint=True)

    def _on_sigterm(self, name: str) -> None:
        self.__logger.warning(f"user interrupted with {name}")
        self._shutdown(reason=name, due_to_sigint=False)

    @contextlib.contextmanager
    def _signals_handled(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handled = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]
        before = {number: signal.getsignal(number) for number in handled}
        loop.add_signal_handler(signal.SIGINT, self._on_sigint)
        for number in handled[1:]:
            loop.add_signal_handler(number, self._on_sigterm, number.name)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)
