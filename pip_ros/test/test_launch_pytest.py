"""launch_pytest: tests of every kind in one running launch, and how failures are told."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import launch_pytest
import pytest
from launch import LaunchContext, LaunchDescription, LaunchService
from launch.actions import ExecuteProcess, TimerAction
from launch.logging import launch_config
from launch_pytest.tools import process as process_tools

TIMEOUT = 20.0  # seconds
SPEAKER = [
    sys.executable,
    "-c",
    "import sys, time; print('out', flush=True); print('err', file=sys.stderr); time.sleep(60)",
]


@pytest.fixture(autouse=True, scope="module")
def _logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_LOG_DIR", str(tmp_path_factory.mktemp("log")))
        launch_config.reset()
        yield
        launch_config.reset()


@pytest.fixture
def speaker() -> ExecuteProcess:
    return ExecuteProcess(cmd=SPEAKER, cached_output=True)


@launch_pytest.fixture
def launch_description(speaker: ExecuteProcess) -> LaunchDescription:
    return LaunchDescription([speaker, launch_pytest.actions.ReadyToTest()])


@pytest.mark.launch(fixture=launch_description)
def test_plain_function(
    speaker: ExecuteProcess, launch_context: LaunchContext, launch_service: LaunchService
) -> None:
    assert launch_service.context is launch_context
    assert process_tools.wait_for_start_sync(launch_context, speaker, timeout=TIMEOUT)

    def validate(output: str) -> None:
        assert output.splitlines() == ["out"]

    assert process_tools.wait_for_stdout_sync(launch_context, speaker, validate, timeout=TIMEOUT)
    process_tools.assert_stderr_sync(launch_context, speaker, lambda text: text == "err\n", timeout=TIMEOUT)
    assert process_tools.wait_for_output_sync(
        launch_context, speaker, lambda text: "err" in text, timeout=TIMEOUT
    )
    assert not process_tools.wait_for_output_sync(
        launch_context, speaker, lambda text: "never" in text, timeout=0.05
    )
    assert not process_tools.wait_for_exit_sync(launch_context, speaker, timeout=0.05)
    with pytest.raises(AssertionError, match="not as expected"):
        process_tools.assert_output_sync(launch_context, speaker, lambda text: False, timeout=0.05)


@pytest.mark.launch(fixture=launch_description)
def test_generator_is_continued_after_the_shutdown(
    speaker: ExecuteProcess, launch_context: LaunchContext
) -> Iterator[None]:
    assert process_tools.wait_for_stdout_sync(
        launch_context, speaker, lambda text: bool(text), timeout=TIMEOUT
    )
    assert speaker.return_code is None
    yield
    assert speaker.return_code == -2
    assert process_tools.wait_for_exit_sync(launch_context, speaker, timeout=TIMEOUT)
    assert not process_tools.wait_for_output_sync(launch_context, speaker, lambda text: "never" in text)


@pytest.mark.launch(fixture=launch_description)
async def test_coroutine(speaker: ExecuteProcess, launch_context: LaunchContext) -> None:
    assert launch_context.asyncio_loop is asyncio.get_running_loop()
    assert await process_tools.wait_for_start(launch_context, speaker, timeout=TIMEOUT)
    await process_tools.assert_output(launch_context, speaker, lambda text: "out" in text, timeout=TIMEOUT)


@pytest.mark.launch(fixture=launch_description)
async def test_asynchronous_generator(
    speaker: ExecuteProcess, launch_context: LaunchContext
) -> AsyncIterator[None]:
    assert await process_tools.wait_for_stderr(
        launch_context, speaker, lambda text: text == "err\n", timeout=TIMEOUT
    )
    yield
    await asyncio.sleep(0)
    assert speaker.return_code == -2


@pytest.mark.launch(fixture=launch_description, shutdown=True)
def test_after_the_shutdown(speaker: ExecuteProcess) -> None:
    assert speaker.return_code is not None


@launch_pytest.fixture
def slow_start() -> tuple[LaunchDescription, ExecuteProcess]:
    process = ExecuteProcess(cmd=["true"])
    late = TimerAction(period=0.2, actions=[launch_pytest.actions.ReadyToTest()])
    return LaunchDescription([process, late]), process


@pytest.mark.launch(fixture=slow_start)
def test_begins_when_it_is_ready(
    slow_start: tuple[LaunchDescription, ExecuteProcess], launch_context: LaunchContext
) -> None:
    # The launch stays up though nothing runs in it any more.
    assert process_tools.wait_for_exit_sync(launch_context, slow_start[1], timeout=TIMEOUT)
    assert not launch_context.is_shutdown


shared = ExecuteProcess(cmd=["sleep", "60"])
after_shared: list[int | None] = []


@launch_pytest.fixture(scope="module")
async def shared_launch() -> AsyncIterator[LaunchDescription]:
    await asyncio.sleep(0)
    yield LaunchDescription([shared])
    after_shared.append(shared.return_code)


@pytest.mark.launch(fixture=shared_launch, shutdown=True)
def test_of_a_shared_launch_that_is_written_first_but_runs_last() -> None:
    assert shared.return_code == -2


@pytest.mark.launch(fixture=shared_launch)
def test_in_two_parts(launch_context: LaunchContext) -> Iterator[None]:
    assert process_tools.wait_for_start_sync(launch_context, shared, timeout=TIMEOUT)
    yield
    assert shared.return_code == -2


class TestInAClass:
    @pytest.mark.parametrize("number", [1, 2])
    @pytest.mark.launch(fixture=shared_launch)
    async def test_shared_launch_still_runs(self, number: int, launch_context: LaunchContext) -> None:
        assert await process_tools.wait_for_start(launch_context, shared, timeout=TIMEOUT)
        assert shared.return_code is None
        assert not launch_context.is_shutdown


RunPytest = Callable[[str], str]


@pytest.fixture
def run_pytest(tmp_path: Path) -> RunPytest:
    """Run a test file in a pytest of its own; return what it printed."""

    def run(code: str) -> str:
        header = "import launch, launch_pytest, pytest\nfrom launch.actions import *\n"
        path = tmp_path / "test_inner.py"
        path.write_text(header + textwrap.dedent(code))
        command = [sys.executable, "-m", "pytest", "-p", "launch_pytest.plugin", "-rA", str(path)]
        environment = {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "COLUMNS": "250",
            "ROS_LOG_DIR": str(tmp_path / "log"),
        }
        result = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return result.stdout + result.stderr

    return run


def test_failures_are_told_where_they_belong(run_pytest: RunPytest) -> None:
    out = run_pytest(
        """
        @launch_pytest.fixture
        def never_ready():
            return launch.LaunchDescription([
                Shutdown(), TimerAction(period=9.0, actions=[launch_pytest.actions.ReadyToTest()])
            ])

        @launch_pytest.fixture
        def broken():
            def fail(context):
                raise ValueError("broken on purpose")
            return launch.LaunchDescription([
                launch_pytest.actions.ReadyToTest(), OpaqueFunction(function=fail)
            ])

        @launch_pytest.fixture
        def nothing():
            return None

        @launch_pytest.fixture
        def fine():
            return launch.LaunchDescription([])

        @pytest.mark.launch(fixture=never_ready)
        def test_never(): pass

        @pytest.mark.launch(fixture=broken)
        def test_broken(): pass

        @pytest.mark.launch(fixture=nothing)
        def test_nothing(): pass

        @pytest.mark.launch(fixture=fine)
        async def test_async_failure():
            assert 1 == 2

        @pytest.mark.launch(fixture=fine)
        def test_failure_after_shutdown():
            yield
            assert 1 == 2

        @pytest.mark.launch(fixture=fine)
        def test_two_yields():
            yield
            yield

        def test_without_mark(launch_context): pass

        @pytest.mark.launch(fixture=fine)
        def test_fine(): pass
        """
    )
    for outcome in (
        "ERROR test_inner.py::test_never - RuntimeError: the launch ended with return code 0 before it was ready",
        "ERROR test_inner.py::test_broken - Failed: launch service failed when finishing, return code '1'",
        "ERROR test_inner.py::test_nothing - TypeError: a launch fixture must return a LaunchDescription",
        "FAILED test_inner.py::test_async_failure - assert 1 == 2",
        "FAILED test_inner.py::test_failure_after_shutdown - assert 1 == 2",
        "FAILED test_inner.py::test_two_yields - Failed: a launch test must yield at most once",
        "ERROR test_inner.py::test_without_mark - Failed: launch_service and launch_context need a test marked",
        "PASSED test_inner.py::test_fine",
    ):
        assert outcome in out


def test_mark_without_a_launch_fixture_is_refused(run_pytest: RunPytest) -> None:
    out = run_pytest("@pytest.mark.launch(fixture=5)\ndef test_x(): pass\n")
    assert "the launch mark expects fixture=<a function decorated with @launch_pytest.fixture>, got 5" in out
