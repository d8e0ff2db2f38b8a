"""The state of one launch."""

from __future__ import annotations

import asyncio
import collections
import os
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from launch.event import Event
from launch.event_handler import BaseEventHandler
from launch.substitution import Substitution


class LaunchContext:
    """Launch configurations, environment, event handlers and event queue of one launch.

    Args:
        argv: command line arguments that the launch was started with.
        noninteractive: no terminal is there. It changes nothing: SIGINT is passed on to the children once, always.
    """

    def __init__(self, *, argv: Iterable[str] | None = None, noninteractive: bool = False) -> None:
        self.__argv = list(argv) if argv is not None else []
        self.__noninteractive = noninteractive
        self._event_queue: asyncio.Queue[Event] = asyncio.Queue()
        self._event_handlers: collections.deque[BaseEventHandler] = collections.deque()
        self._completion_futures: list[asyncio.Future[Any]] = []
        self.__globals: dict[str, Any] = {}
        self.__locals: dict[str, Any] = {}
        self.__locals_stack: list[dict[str, Any]] = []
        self.__launch_configurations: dict[str, Any] = {}
        self.__launch_configurations_stack: list[dict[str, Any]] = []
        self.__environment_stack: list[dict[str, str]] = []
        self.__environment_at_start = dict(os.environ)
        self.__is_shutdown = False
        self.__asyncio_loop: asyncio.AbstractEventLoop | None = None

    @property
    def argv(self) -> list[str]:
        """Return the command line arguments that the launch was started with."""
        return self.__argv

    @property
    def noninteractive(self) -> bool:
        """Return whether no terminal is there."""
        return self.__noninteractive

    @property
    def is_shutdown(self) -> bool:
        """Return whether the launch is shutting down, or has."""
        return self.__is_shutdown

    def _set_is_shutdown(self, state: bool) -> None:
        self.__is_shutdown = state

    @property
    def asyncio_loop(self) -> asyncio.AbstractEventLoop | None:
        """Return the loop that the launch runs in; None before it runs."""
        return self.__asyncio_loop

    def _set_asyncio_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.__asyncio_loop = loop

    def add_completion_future(self, future: asyncio.Future[Any]) -> None:
        """Keep the launch running until the future is done."""
        self._completion_futures.append(future)

    # Locals hold what belongs to the event or launch file that is being worked on; globals outlive it.

    @property
    def locals(self) -> SimpleNamespace:
        """Return locals and globals as attributes, e.g. ``context.locals.event`` in an event handler."""
        return SimpleNamespace(**self.get_locals_as_dict())

    def get_locals_as_dict(self) -> dict[str, Any]:
        """Return locals and globals by name."""
        return {**self.__globals, **self.__locals}

    def extend_globals(self, extra: Mapping[str, Any]) -> None:
        """Add names that stay for the whole launch."""
        self.__globals.update(extra)

    def extend_locals(self, extra: Mapping[str, Any]) -> None:
        """Add names that stay for the current event."""
        self.__locals.update(extra)

    def _push_locals(self) -> None:
        self.__locals_stack.append(dict(self.__locals))

    def _pop_locals(self) -> None:
        self.__locals = _pop(self.__locals_stack, "locals")

    @property
    def launch_configurations(self) -> dict[str, Any]:
        """Return the launch configurations of the current scope."""
        return self.__launch_configurations

    def _push_launch_configurations(self) -> None:
        self.__launch_configurations_stack.append(dict(self.__launch_configurations))

    def _pop_launch_configurations(self) -> None:
        self.__launch_configurations = _pop(self.__launch_configurations_stack, "launch configurations")

    @property
    def environment(self) -> os._Environ[str]:
        """Return the environment: that of this process, so that plain Python code sees the same."""
        return os.environ

    def _push_environment(self) -> None:
        self.__environment_stack.append(dict(os.environ))

    def _pop_environment(self) -> None:
        _set_environment(_pop(self.__environment_stack, "environment"))

    def _reset_environment(self) -> None:
        _set_environment(self.__environment_at_start)

    def register_event_handler(self, event_handler: BaseEventHandler, append: bool = False) -> None:
        """Register a handler; the newest is asked first, unless it is appended."""
        if append:
            self._event_handlers.append(event_handler)
        else:
            self._event_handlers.appendleft(event_handler)

    def unregister_event_handler(self, event_handler: BaseEventHandler) -> None:
        """Remove a handler; ValueError where it is not registered."""
        self._event_handlers.remove(event_handler)

    def would_handle_event(self, event: Event) -> bool:
        """Return whether some handler takes the event."""
        return any(handler.matches(event) for handler in self._event_handlers)

    def emit_event_sync(self, event: Event) -> None:
        """Queue an event; callable from every thread."""
        loop = self.__asyncio_loop
        if loop is None or _running_loop() is loop:
            self._event_queue.put_nowait(event)
        else:
            loop.call_soon_threadsafe(self._event_queue.put_nowait, event)

    async def emit_event(self, event: Event) -> None:
        """Queue an event."""
        self.emit_event_sync(event)

    def perform_substitution(self, substitution: Substitution) -> str:
        """Return the text of the substitution."""
        return substitution.perform(self)


def _pop(stack: list[Any], what: str) -> Any:
    if not stack:
        raise RuntimeError(f"no {what} to pop: they were popped more often than pushed")
    return stack.pop()


def _set_environment(environment: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
