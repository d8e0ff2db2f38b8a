"""Waiting for processes of a launch, and assertions about their output.

Every function exists twice: asynchronous, for tests that are coroutines, and with the suffix ``_sync``; only
``assert_stdout_sync`` is missing, as in Jazzy. Times are in seconds; None: no limit. The processes need
``cached_output=True`` where their output is looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from launch import EventHandler, LaunchContext
from launch.actions import ExecuteProcess
from launch.events.process import RunningProcessEvent

# Asserts something about the output, or returns whether it is as expected.
ValidateOutput = Callable[[str], Any]
_GetText = Callable[[], str]
_Result = TypeVar("_Result")


async def _wait_until(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    condition: Callable[[], bool],
    timeout: float | None,
) -> bool:
    """Return whether the condition holds in time; it is asked at every event of the process."""
    holds = asyncio.Event()

    def matches(event: object) -> bool:
        if isinstance(event, RunningProcessEvent) and event.action is process and condition():
            holds.set()
        return False  # nothing is to be handled

    if condition():
        return True
    if launch_context.asyncio_loop is None:  # the launch is over: nothing will change
        return False
    handler = EventHandler(matcher=matches)
    launch_context.register_event_handler(handler)
    try:
        await asyncio.wait_for(holds.wait(), timeout)
    except asyncio.TimeoutError:
        return condition()
    finally:
        launch_context.unregister_event_handler(handler)
    return True


def _synchronously(launch_context: LaunchContext, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    loop = launch_context.asyncio_loop
    if loop is None:
        return asyncio.run(coroutine)
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()


def _is_valid(validate_output: ValidateOutput, text: str) -> bool:
    try:
        result = validate_output(text)
    except AssertionError:
        return False
    return result is None or bool(result)


async def _wait_for_text(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    get_text: _GetText,
    validate_output: ValidateOutput,
    timeout: float | None,
) -> bool:
    return await _wait_until(launch_context, process, lambda: _is_valid(validate_output, get_text()), timeout)


async def _assert_text(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    get_text: _GetText,
    validate_output: ValidateOutput,
    timeout: float | None,
) -> None:
    if not await _wait_for_text(launch_context, process, get_text, validate_output, timeout):
        text = get_text()
        result = validate_output(text)  # an assertion in it explains itself
        assert result is None or result, f"the output is not as expected: {text!r}"


async def wait_for_start(
    launch_context: LaunchContext, process: ExecuteProcess, timeout: float | None = None
) -> bool:
    """Return whether the process has started in time."""
    return await _wait_until(launch_context, process, lambda: process.process_details is not None, timeout)


async def wait_for_exit(
    launch_context: LaunchContext, process: ExecuteProcess, timeout: float | None = None
) -> bool:
    """Return whether the process has ended in time."""
    return await _wait_until(launch_context, process, lambda: process.return_code is not None, timeout)


async def wait_for_output(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    validate_output: ValidateOutput,
    timeout: float | None = None,
) -> bool:
    """Return whether standard output and error, as they came, are as expected in time."""
    return await _wait_for_text(launch_context, process, process.get_output, validate_output, timeout)


async def wait_for_stdout(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    validate_output: ValidateOutput,
    timeout: float | None = None,
) -> bool:
    """Return whether the standard output is as expected in time."""
    return await _wait_for_text(launch_context, process, process.get_stdout, validate_output, timeout)


async def wait_for_stderr(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    validate_output: ValidateOutput,
    timeout: float | None = None,
) -> bool:
    """Return whether the standard error is as expected in time."""
    return await _wait_for_text(launch_context, process, process.get_stderr, validate_output, timeout)


async def assert_output(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    validate_output: ValidateOutput,
    timeout: float | None = None,
) -> None:
    """Assert that standard output and error, as they came, are as expected in time."""
    await _assert_text(launch_context, process, process.get_output, validate_output, timeout)


async def assert_stdout(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    validate_output: ValidateOutput,
    timeout: float | None = None,
) -> None:
    """Assert that the standard output is as expected in time."""
    await _assert_text(launch_context, process, process.get_stdout, validate_output, timeout)


async def assert_stderr(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    validate_output: ValidateOutput,
    timeout: float | None = None,
) -> None:
    """Assert that the standard error is as expected in time."""
    await _assert_text(launch_context, process, process.get_stderr, validate_output, timeout)


def wait_for_start_sync(
    launch_context: LaunchContext, process: ExecuteProcess, timeout: float | None = None
) -> bool:
    """Return whether the process has started in time."""
    return _synchronously(launch_context, wait_for_start(launch_context, process, timeout))


def wait_for_exit_sync(
    launch_context: LaunchContext, process: ExecuteProcess, timeout: float | None = None
) -> bool:
    """Return whether the process has ended in time."""
    return _synchronously(launch_context, wait_for_exit(launch_context, process, timeout))


def wait_for_output_sync(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    validate_output: ValidateOutput,
    timeout: float | None = None,
) -> bool:
    """Return whether standard output and error, as they came, are as expected in time."""
    return _synchronously(launch_context, wait_for_output(launch_context, process, validate_output, timeout))


def wait_for_stdout_sync(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    validate_output: ValidateOutput,
    timeout: float | None = None,
) -> bool:
    """Return whether the standard output is as expected in time."""
    return _synchronously(launch_context, wait_for_stdout(launch_context, process, validate_output, timeout))


def wait_for_stderr_sync(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    validate_output: ValidateOutput,
    timeout: float | None = None,
) -> bool:
    """Return whether the standard error is as expected in time."""
    return _synchronously(launch_context, wait_for_stderr(launch_context, process, validate_output, timeout))


def assert_output_sync(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    validate_output: ValidateOutput,
    timeout: float | None = None,
) -> None:
    """Assert that standard output and error, as they came, are as expected in time."""
    _synchronously(launch_context, assert_output(launch_context, process, validate_output, timeout))


def assert_stderr_sync(
    launch_context: LaunchContext,
    process: ExecuteProcess,
    validate_output: ValidateOutput,
    timeout: float | None = None,
) -> None:
    """Assert that the standard error is as expected in time."""
    _synchronously(launch_context, assert_stderr(launch_context, process, validate_output, timeout))
