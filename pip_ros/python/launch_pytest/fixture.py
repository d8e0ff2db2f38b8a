"""Fixtures that are launches."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from launch import LaunchDescription
from launch_pytest.running_launch import RunningLaunch

RUNNING_LAUNCHES: pytest.StashKey[dict[str, RunningLaunch]] = pytest.StashKey()

_OPTIONS = "_launch_pytest_options"


@dataclass(frozen=True)
class FixtureOptions:
    """Name and scope of a launch fixture."""

    name: str
    scope: str


def options_of(launch_fixture: object) -> FixtureOptions:
    """Return the options of a fixture; TypeError where it is no launch fixture."""
    options = getattr(launch_fixture, _OPTIONS, None)
    if not isinstance(options, FixtureOptions):
        raise TypeError(
            f"the launch mark expects fixture=<a function decorated with @launch_pytest.fixture>, "
            f"got {launch_fixture!r}"
        )
    return options


def _with_request(function: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """Give a wrapper the name and the arguments of the function, and ``request`` besides."""
    functools.update_wrapper(wrapper, function)
    del wrapper.__dict__["__wrapped__"]  # pytest would look through it, and miss the request
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if "request" not in signature.parameters:
        parameters.append(inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY))
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return wrapper


def fixture(
    decorated: Callable[..., Any] | None = None,
    *,
    scope: str = "function",
    auto_shutdown: bool = True,
    **kwargs: Any,
) -> Any:
    """Make a fixture of a function that returns a launch description: the launch runs while it is used.

    The function may be a generator or asynchronous, too: what follows its ``yield`` is done after the launch.
    It may also return a sequence whose first item is the launch description. The tests see what it returns.

    Args:
        decorated: the function.
        scope: as of ``pytest.fixture``.
        auto_shutdown: shut the launch down after the last test; else it is waited for.
        kwargs: further arguments of ``pytest.fixture``.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        wants_request = "request" in inspect.signature(function).parameters
        name = kwargs.get("name") or function.__name__

        def launched(*args: Any, request: pytest.FixtureRequest, **arguments: Any) -> Iterator[Any]:
            if wants_request:
                arguments["request"] = request
            running = RunningLaunch()
            try:
                made = _Made(function, args, arguments, running)
                launches = request.config.stash.setdefault(RUNNING_LAUNCHES, {})
                try:
                    running.start(_description(made.value))
                    launches[name] = running
                    yield made.value
                finally:
                    launches.pop(name, None)
                    return_code = running.shutdown() if auto_shutdown else running.wait()
                    made.finish()
            finally:
                running.close()
            if return_code != 0:
                pytest.fail(f"launch service failed when finishing, return code '{return_code}'")

        launch_fixture = pytest.fixture(_with_request(function, launched), scope=scope, **kwargs)  # type: ignore[call-overload]
        setattr(launch_fixture, _OPTIONS, FixtureOptions(name=name, scope=scope))
        return launch_fixture

    return decorate if decorated is None else decorate(decorated)


class _Made:
    """What a fixture function made, whatever kind of function it is."""

    def __init__(
        self, function: Callable[..., Any], args: Any, arguments: dict[str, Any], running: RunningLaunch
    ) -> None:
        self._running = running
        self._generator: Any = None
        result = function(*args, **arguments)
        if inspect.isgenerator(result):
            self._generator = result
            self.value = next(result)
        elif inspect.isasyncgen(result):
            self._generator = result
            self.value = running.call(anext(result))
        elif inspect.iscoroutine(result):
            self.value = running.call(result)
        else:
            self.value = result

    def finish(self) -> None:
        """Run what follows the yield."""
        if inspect.isgenerator(self._generator):
            next(self._generator, None)
        elif self._generator is not None:
            self._running.call(anext(self._generator, None))


def _description(value: Any) -> LaunchDescription:
    first = value[0] if isinstance(value, (tuple, list)) and value else value
    if not isinstance(first, LaunchDescription):
        raise TypeError(
            f"a launch fixture must return a LaunchDescription, or a sequence that begins with one: {value!r}"
        )
    return first
