"""Processes of a launch: output, environment, end, respawn and events. All of them are real."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity, LaunchService
from launch.actions import (
    EmitEvent,
    ExecuteProcess,
    GroupAction,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    SetLaunchConfiguration,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnProcessIO, OnProcessStart, OnShutdown
from launch.events import matches_action
from launch.events.process import ProcessExited, ProcessIO, ProcessStarted, ShutdownProcess, SignalProcess
from launch.logging import launch_config
from launch.substitutions import EnvironmentVariable, LocalSubstitution

Launch = Callable[..., tuple[int, str]]

SLEEPER = [sys.executable, "-c", "import time; print('asleep', flush=True); time.sleep(60)"]
# Ignores what the argument names; says when it is ready.
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, sys, time\n"
    "for name in sys.argv[1:]: signal.signal(getattr(signal, name), signal.SIG_IGN)\n"
    "print('ready', flush=True)\n"
    "time.sleep(60)\n",
]


@pytest.fixture(autouse=True)
def log_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    base = tmp_path / "log"
    monkeypatch.setenv("ROS_LOG_DIR", str(base))
    launch_config.reset()
    yield base
    launch_config.reset()


@pytest.fixture
def launch(capfd: pytest.CaptureFixture[str]) -> Launch:
    """Run entities; return the return code and what was printed."""

    def run(*entities: LaunchDescriptionEntity) -> tuple[int, str]:
        service = LaunchService()
        service.include_launch_description(LaunchDescription(entities))
        return service.run(), capfd.readouterr().out

    return run


def shell(command: str, **keywords: Any) -> ExecuteProcess:
    return ExecuteProcess(cmd=["sh", "-c", command], **keywords)


def when_ready(process: ExecuteProcess, *entities: LaunchDescriptionEntity) -> RegisterEventHandler:
    """Visit entities at the first output of a process."""
    done: list[bool] = []

    def on_output(event: ProcessIO) -> list[LaunchDescriptionEntity]:
        first = not done
        done.append(True)
        return list(entities) if first else []

    return RegisterEventHandler(OnProcessIO(target_action=process, on_stdout=on_output))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_life_of_a_process_is_told(launch: Launch) -> None:
    process = shell("echo out; echo err >&2; printf unfinished", output="screen")
    code, out = launch(process)
    assert code == 0
    assert process.return_code == 0
    name = re.escape(str(process.name))
    assert re.fullmatch(r"sh-\d+", str(process.name))
    for line in (r"out", r"err", r"unfinished"):
        assert re.search(rf"^\[{name}\] {line}$", out, re.MULTILINE)
    pid = process.process_details["pid"] if process.process_details else None
    assert f"[INFO] [{process.name}]: process started with pid [{pid}]" in out
    assert f"[INFO] [{process.name}]: process has finished cleanly [pid {pid}]" in out
    assert out.index("unfinished") < out.index("finished cleanly"), "all output comes before the end"


def test_death_of_a_process_is_told_and_does_not_fail_the_launch(launch: Launch) -> None:
    process = shell("exit 3", name="worker")
    code, out = launch(process)
    assert code == 0
    assert process.return_code == 3
    assert re.search(
        r"^\[ERROR\] \[worker-\d+\]: process has died \[pid \d+, exit code 3, cmd 'sh -c exit 3'\]\.$",
        out,
        re.MULTILINE,
    )


def test_executable_that_is_missing_is_told_and_the_launch_goes_on(launch: Launch) -> None:
    code, out = launch(ExecuteProcess(cmd=["/no/such/program"]), shell("echo others", output="screen"))
    assert code == 0
    assert "/no/such/program" in out
    assert "] others" in out


@pytest.mark.parametrize(
    ("output", "on_screen", "in_log"),
    [
        ("screen", {"out", "err"}, set()),
        ("log", {"err"}, {"out", "err"}),
        ("both", {"out", "err"}, {"out", "err"}),
        ({"stdout": "log", "stderr": {"screen", "log"}}, {"err"}, {"out", "err"}),
        ({"both": "own_log"}, set(), set()),
    ],
)
def test_output_goes_where_it_is_wanted(
    output: Any, on_screen: set[str], in_log: set[str], launch: Launch, log_base: Path
) -> None:
    _, out = launch(shell("echo out; echo err >&2", output=output, name="w"))
    (folder,) = {path.resolve() for path in log_base.iterdir()}
    logged = (folder / "launch.log").read_text()
    for stream in ("out", "err"):
        line = re.compile(rf"\[w-\d+\] {stream}$", re.MULTILINE)
        assert bool(line.search(out)) is (stream in on_screen)
        assert bool(line.search(logged)) is (stream in in_log)
    assert bool(list(folder.glob("w-*-stdout.log"))) is (output == {"both": "own_log"})


def test_log_folder_is_that_of_the_environment(launch: Launch, log_base: Path) -> None:
    _, out = launch(LogInfo(msg="remember me"))
    folder = Path(launch_config.log_dir)
    assert folder.parent == log_base
    assert (log_base / "latest").resolve() == folder
    assert f"[INFO] [launch]: All log files can be found below {folder}" in out
    assert re.search(
        r"^\d+\.\d{7} \[INFO\] \[launch\.user\]: remember me$",
        (folder / "launch.log").read_text(),
        re.MULTILINE,
    )


def test_log_folder_in_ros_home(launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROS_LOG_DIR")
    monkeypatch.setenv("ROS_HOME", str(tmp_path / "home"))
    launch()
    assert Path(launch_config.log_dir).parent == tmp_path / "home" / "log"


def test_wrong_output_fails_the_launch(launch: Launch) -> None:
    code, out = launch(shell("true", output="scren"))
    assert code == 1
    assert "'scren' is not a valid output" in out


def test_environment_of_a_process(launch: Launch) -> None:
    say = 'echo "$A-$B-$C"'
    inherited = shell(say, cached_output=True, additional_env={"C": ["c", EnvironmentVariable("A")]})
    own = ExecuteProcess(cmd=["/bin/sh", "-c", say], cached_output=True, env={"B": "b"})
    outside = shell(say, cached_output=True)
    launch(GroupAction([SetEnvironmentVariable("A", "a"), inherited, own]), outside)
    assert inherited.get_stdout() == "a--ca\n"
    assert own.get_stdout() == "-b-\n"
    assert outside.get_stdout() == "--\n"


def test_working_directory_shell_and_prefix(launch: Launch, tmp_path: Path) -> None:
    there = shell("pwd", cwd=[str(tmp_path)], cached_output=True)
    by_shell = ExecuteProcess(cmd=["echo", "$((1 + 1))"], shell=True, cached_output=True)
    prefixed = ExecuteProcess(cmd=["echo", "x"], prefix="env echo 'a b'", cached_output=True)
    launch(there, by_shell, prefixed)
    assert there.get_stdout() == f"{tmp_path.resolve()}\n"
    assert by_shell.get_stdout() == "2\n"
    assert prefixed.get_stdout() == "a b echo x\n"


def test_terminal_is_emulated_on_demand(launch: Launch) -> None:
    ask = [sys.executable, "-c", "import sys; print(sys.stdout.isatty(), sys.stderr.isatty())"]
    plain = ExecuteProcess(cmd=ask, cached_output=True)
    terminal = ExecuteProcess(cmd=ask, cached_output=True, emulate_tty=True)
    configured = ExecuteProcess(cmd=ask, cached_output=True)
    launch(plain, terminal, SetLaunchConfiguration("emulate_tty", "true"), configured)
    assert plain.get_stdout() == "False False\n"
    assert terminal.get_stdout() == configured.get_stdout() == "True True\n"


def test_shutdown_interrupts_all_processes(launch: Launch) -> None:
    first, second = ExecuteProcess(cmd=SLEEPER), ExecuteProcess(cmd=SLEEPER)
    code, out = launch(first, when_ready(first, second), when_ready(second, Shutdown(reason="enough")))
    assert code == 0
    for process in (first, second):
        assert f"[INFO] [{process.name}]: sending signal 'SIGINT' to process[{process.name}]" in out
        assert process.return_code == -signal.SIGINT
        assert process.process_details is not None
        assert not is_alive(process.process_details["pid"])


def test_process_that_ignores_sigint_gets_sigterm_then_sigkill(launch: Launch) -> None:
    times = {"sigterm_timeout": "0.3", "sigkill_timeout": 0.3}
    gentle = ExecuteProcess(cmd=[*STUBBORN, "SIGINT"], **times)
    rude = ExecuteProcess(cmd=[*STUBBORN, "SIGINT", "SIGTERM"], **times)
    code, out = launch(gentle, when_ready(gentle, rude), when_ready(rude, Shutdown()))
    assert code == 0
    assert gentle.return_code == -signal.SIGTERM
    assert rude.return_code == -signal.SIGKILL
    assert (
        f"process[{rude.name}] failed to terminate '0.3' seconds after receiving 'SIGINT', escalating to 'SIGTERM'"
    ) in out
    assert (
        f"process[{rude.name}] failed to terminate '0.6' seconds after receiving 'SIGTERM', escalating to 'SIGKILL'"
    ) in out


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGINT, "user interrupted with ctrl-c (SIGINT)"),
        (signal.SIGTERM, "user interrupted with SIGTERM"),
    ],
)
def test_signal_ends_the_processes_and_what_they_have_started(
    number: signal.Signals, message: str, launch: Launch, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    process = shell(f"sh -c 'echo $$ > {pid_file}; echo ready; exec sleep 60'; echo after")
    before = signal.getsignal(number)

    def interrupt(context: LaunchContext) -> None:
        os.kill(os.getpid(), number)

    code, out = launch(process, when_ready(process, OpaqueFunction(function=interrupt)))
    assert code == 0
    assert f"[WARNING] [launch]: {message}" in out
    assert signal.getsignal(number) == before
    assert process.return_code == -signal.SIGINT
    assert not is_alive(int(pid_file.read_text()))


def test_respawn_until_the_retries_are_used_up(launch: Launch) -> None:
    process = shell("echo again; exit 1", cached_output=True, respawn=True, respawn_max_retries=2)
    launch(process)
    assert process.get_stdout().split() == ["again"] * 3


def test_respawn_ends_with_the_launch_even_in_its_delay(launch: Launch) -> None:
    process = shell("echo again", cached_output=True, respawn="true", respawn_delay=30.0)
    begin = time.monotonic()
    launch(process, RegisterEventHandler(OnProcessExit(target_action=process, on_exit=[Shutdown()])))
    assert process.get_stdout().split() == ["again"]
    assert time.monotonic() - begin < 20.0


def test_required_process_ends_the_launch(launch: Launch) -> None:
    required = shell("exit 0", on_exit=Shutdown())
    other = ExecuteProcess(cmd=SLEEPER)
    code, out = launch(other, when_ready(other, required))
    assert code == 0
    assert f"process[{required.name}] was required: shutting down launched system" in out
    assert other.return_code == -signal.SIGINT


def test_events_of_a_process_come_in_order_and_only_for_it(launch: Launch) -> None:
    events: list[str] = []
    mine, other = shell("echo mine; exit 4"), shell("echo other")

    def started(event: ProcessStarted, context: LaunchContext) -> None:
        events.append(f"started {event.process_name == mine.name}")

    def written(event: ProcessIO) -> None:
        events.append(f"wrote {event.text.decode().strip()}")

    def exited(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        events.append(f"exited {event.returncode} {event.pid > 0} {event.cmd[0]}")
        return [LogInfo(msg=["code ", LocalSubstitution("event.returncode")])]

    _, out = launch(
        RegisterEventHandler(OnProcessStart(target_action=mine, on_start=started)),
        RegisterEventHandler(OnProcessIO(target_action=mine, on_stdout=written)),
        RegisterEventHandler(OnProcessExit(target_action=mine, on_exit=exited)),
        mine,
        other,
    )
    assert events == ["started True", "wrote mine", "exited 4 True sh"]
    assert "[INFO] [launch.user]: code 4" in out


def test_handler_without_target_hears_every_process_and_once_only_the_first(launch: Launch) -> None:
    every: list[int] = []
    once: list[int] = []
    launch(
        RegisterEventHandler(OnProcessExit(on_exit=lambda event, context: every.append(event.returncode))),
        RegisterEventHandler(
            OnProcessExit(on_exit=lambda event, context: once.append(event.returncode), handle_once=True)
        ),
        shell("exit 1"),
        shell("exit 2"),
    )
    assert sorted(every) == [1, 2]
    assert len(once) == 1


def test_signals_and_shutdown_can_be_asked_of_one_process(launch: Launch) -> None:
    catcher = ExecuteProcess(
        cmd=[
            sys.executable,
            "-c",
            "import signal, sys\nsignal.signal(signal.SIGUSR1, lambda *_: sys.exit(7))\n"
            "print('ready', flush=True)\nsignal.pause()\n",
        ]
    )
    sleeper = ExecuteProcess(cmd=SLEEPER)
    send = EmitEvent(event=SignalProcess(signal_number="SIGUSR1", process_matcher=matches_action(catcher)))
    end = EmitEvent(event=ShutdownProcess(process_matcher=matches_action(sleeper)))
    launch(catcher, sleeper, when_ready(catcher, send), when_ready(sleeper, end))
    assert catcher.return_code == 7
    assert sleeper.return_code == -signal.SIGINT


def test_on_shutdown_knows_the_reason(launch: Launch) -> None:
    reasons: list[str] = []
    handler = OnShutdown(on_shutdown=lambda event, context: reasons.append(event.reason))
    launch(RegisterEventHandler(handler), Shutdown(reason=["be", "cause"]))
    assert reasons == ["because"]


def test_timer_is_cancelled_by_a_shutdown(launch: Launch) -> None:
    code, out = launch(
        TimerAction(period=60.0, actions=[LogInfo(msg="late")]),
        TimerAction(period=0.05, actions=[LogInfo(msg="early"), Shutdown()]),
    )
    assert code == 0
    assert "early" in out
    assert "late" not in out


def test_failure_in_a_handler_ends_the_processes_and_fails_the_launch(launch: Launch) -> None:
    process = ExecuteProcess(cmd=SLEEPER)

    def fail(context: LaunchContext) -> None:
        raise ValueError("handler failed on purpose")

    code, out = launch(process, when_ready(process, OpaqueFunction(function=fail)))
    assert code == 1
    assert "Caught exception in launch (see debug for traceback): handler failed on purpose" in out
    assert process.return_code == -signal.SIGINT


def test_service_is_shut_down_from_another_thread_and_can_be_fed_while_it_runs(launch: Launch) -> None:
    service = LaunchService()
    process = ExecuteProcess(cmd=["sleep", "60"])
    codes: list[int] = []

    thread = threading.Thread(
        target=lambda: codes.append(asyncio.run(service.run_async(shutdown_when_idle=False)))
    )
    thread.start()
    service.include_launch_description(LaunchDescription([process]))
    deadline = time.monotonic() + 20.0
    while process.process_details is None and time.monotonic() < deadline:
        time.sleep(0.02)
    service.shutdown()
    thread.join(20.0)
    assert codes == [0]
    assert process.return_code == -signal.SIGINT


def test_no_process_is_started_once_the_launch_shuts_down(launch: Launch) -> None:
    late = shell("echo late")
    launch(RegisterEventHandler(OnShutdown(on_shutdown=[late])), Shutdown())
    assert late.process_details is None


def test_unknown_keyword_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="nice_level"):
        ExecuteProcess(cmd=["true"], nice_level=5)
