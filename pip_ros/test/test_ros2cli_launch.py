"""``ros2 launch`` and ``ros2 run`` as a user types them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from launch.logging import launch_config
from ros2cli.cli import main

ROS2 = str(Path(sys.prefix) / "bin" / "ros2")
PACKAGE = "ros2cli_probe"
TIMEOUT = 30.0  # seconds

LAUNCH_FILE = """
from launch import LaunchDescription
from launch.actions import *
from launch.conditions import IfCondition
from launch.substitutions import *
from launch_ros.actions import Node

def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument("word", description="What to say."),
        DeclareLaunchArgument("mode", default_value="fast", choices=["fast", "good"], description="How."),
        DeclareLaunchArgument("path", default_value=["/a/", LaunchConfiguration("word")]),
        DeclareLaunchArgument("rare", default_value="1", condition=IfCondition("false")),
        LogInfo(msg=["word=", LaunchConfiguration("word"), " path=", LaunchConfiguration("path")]),
        Node(package="ros2cli_probe", executable="worker", output="screen", arguments=[LaunchConfiguration("word")]),
    ])
"""

# Does what the word says, and tells which signal it got.
WORKER = """
import os, signal, sys, time

def leave(number, frame):
    # The print below may still be under way, and another one within it would be refused.
    os.write(1, f"got {signal.Signals(number).name}\\n".encode())
    sys.exit(0)

signal.signal(signal.SIGINT, leave)
signal.signal(signal.SIGTERM, leave)
print("working", os.getpid(), *sys.argv[1:], flush=True)
if sys.argv[1] == "wait":
    time.sleep(60)
elif sys.argv[1] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
elif sys.argv[1].isdigit():
    sys.exit(int(sys.argv[1]))
"""

Environment = dict[str, str]
Ros2 = Callable[..., "subprocess.CompletedProcess[str]"]
Ros2Here = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment in which ament finds a package with a launch file and a worker."""
    root = tmp_path_factory.mktemp("prefix")
    (root / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (root / "share/ament_index/resource_index/packages" / PACKAGE).touch()
    for folder in ("launch", "other"):
        (root / "share" / PACKAGE / folder).mkdir(parents=True)
    (root / "share" / PACKAGE / "launch" / "probe.launch.py").write_text(LAUNCH_FILE)
    for folder in ("launch", "other"):
        (root / "share" / PACKAGE / folder / "twice.launch.py").touch()
    (root / "lib" / PACKAGE).mkdir(parents=True)
    worker = root / "lib" / PACKAGE / "worker"
    worker.write_text(f"#!{sys.executable}\n{textwrap.dedent(WORKER)}")
    worker.chmod(0o755)
    paths = os.pathsep.join([str(root), os.environ.get("AMENT_PREFIX_PATH", "")])
    return {**os.environ, "AMENT_PREFIX_PATH": paths, "ROS_LOG_DIR": str(root / "log"), "PREFIX": str(root)}


@pytest.fixture
def ros2(environment: Environment) -> Ros2:
    """Run ``ros2`` to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROS2, *arguments], env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )

    return run


@pytest.fixture
def ros2_here(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Ros2Here]:
    """Run ``ros2`` in this process, for what starts no other; return exit code and output."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", environment["AMENT_PREFIX_PATH"])
    monkeypatch.setenv("ROS_LOG_DIR", environment["ROS_LOG_DIR"])

    def run(*arguments: str) -> tuple[int, str]:
        code = main(arguments)
        return code, "".join(capsys.readouterr())

    launch_config.reset()
    yield run
    launch_config.reset()


class Running:
    """``ros2`` that runs until the worker in it works."""

    def __init__(self, environment: Environment, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [ROS2, *arguments], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if "working" in line:
                words = line.split()
                self.worker_pid = int(words[words.index("working") + 1])
                return
        pytest.fail(f"the worker did not come: {self.lines}")

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Signal ``ros2``; return its exit code and all that it printed."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, "\n".join([*self.lines, rest])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_launch_file_of_a_package_with_arguments(ros2: Ros2) -> None:
    result = ros2("launch", PACKAGE, "probe.launch.py", "word:=5", "path:=x:=y")
    assert result.returncode == 0, "a process that dies does not fail the launch"
    assert "[INFO] [launch.user]: word=5 path=x:=y" in result.stdout
    assert "[worker-1] working" in result.stdout
    assert "[ERROR] [worker-1]: process has died [pid" in result.stdout
    assert "exit code 5" in result.stdout


def test_launch_file_by_path(ros2: Ros2, environment: Environment) -> None:
    path = Path(environment["PREFIX"], "share", PACKAGE, "launch", "probe.launch.py")
    result = ros2("launch", str(path), "word:=0")
    assert result.returncode == 0
    assert "word=0 path=/a/0" in result.stdout
    assert "[INFO] [worker-1]: process has finished cleanly [pid" in result.stdout


@pytest.mark.parametrize("flag", ["-s", "--show-args"])
def test_arguments_are_shown(flag: str, ros2_here: Ros2Here) -> None:
    code, out = ros2_here("launch", PACKAGE, "probe.launch.py", flag)
    assert code == 0
    assert out == textwrap.dedent(
        """\
        Arguments (pass arguments as '<name>:=<value>'):

            'word':
                What to say.

            'mode':
                How. Valid choices are: ['fast', 'good']
                (default: 'fast')

            'path':
                no description given
                (default: '/a/' + LaunchConfig('word'))

            'rare':*
                no description given
                (default: '1')

        * argument(s) which are only used if specific conditions occur
        """
    )


def test_description_is_printed(ros2_here: Ros2Here) -> None:
    code, out = ros2_here("launch", PACKAGE, "probe.launch.py", "--print-description")
    assert code == 0
    assert out.splitlines()[:2] == ["LaunchDescription", "    DeclareLaunchArgument('word')"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no_such_package", "x.launch.py"), "Package 'no_such_package' not found"),
        ((PACKAGE, "x.launch.py"), "file 'x.launch.py' was not found in the share directory of package"),
        ((PACKAGE, "twice.launch.py"), "was found more than once"),
        ((PACKAGE,), "a launch file name is needed"),
        (("./no/such/file.launch.py",), "neither a launch file nor a package name"),
        ((PACKAGE, "probe.launch.py", "word=1"), "malformed launch argument 'word=1', expected format"),
        (
            (PACKAGE, "probe.launch.py"),
            "missing required argument 'word' (description: 'What to say.'), given: []",
        ),
        ((PACKAGE, "probe.launch.py", "word:=0", "mode:=slow"), "Valid options are: ['fast', 'good']"),
    ],
)
def test_wrong_command_line_fails_with_a_reason(
    arguments: tuple[str, ...], message: str, ros2_here: Ros2Here
) -> None:
    code, out = ros2_here("launch", *arguments)
    assert code == 1
    assert message in out
    assert "Traceback" not in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_launch_ends_cleanly_on_a_signal(number: signal.Signals, environment: Environment) -> None:
    running = Running(environment, "launch", PACKAGE, "probe.launch.py", "word:=wait")
    code, out = running.end(number)
    assert code == 0
    assert "sending signal 'SIGINT' to process[worker-1]" in out
    assert "[worker-1] got SIGINT" in out
    assert "[worker-1]: process has finished cleanly" in out
    assert not is_alive(running.worker_pid)


def test_ctrl_c_in_a_terminal_reaches_a_process_once(environment: Environment) -> None:
    # A terminal signals the whole group. A second SIGINT would interrupt the clean-up of the processes.
    running = Running(environment, "launch", PACKAGE, "probe.launch.py", "word:=wait")
    os.killpg(running.process.pid, signal.SIGINT)
    out, _ = running.process.communicate(timeout=TIMEOUT)
    assert running.process.returncode == 0
    assert out.count("got SIGINT") == 1


def test_second_ctrl_c_is_ignored(environment: Environment) -> None:
    running = Running(environment, "launch", PACKAGE, "probe.launch.py", "word:=wait")
    os.kill(running.worker_pid, signal.SIGSTOP)  # so that the launch waits for it
    running.process.send_signal(signal.SIGINT)
    assert running.process.stdout is not None
    for line in running.process.stdout:
        running.lines.append(line.rstrip())
        if "sending signal 'SIGINT'" in line:
            break
    running.process.send_signal(signal.SIGINT)
    for line in running.process.stdout:
        running.lines.append(line.rstrip())
        if "again, ignoring..." in line:
            break
    os.kill(running.worker_pid, signal.SIGCONT)
    running.process.communicate(timeout=TIMEOUT)
    assert running.process.returncode == 0
    assert "[WARNING] [launch]: user interrupted with ctrl-c (SIGINT) again, ignoring..." in running.lines


def test_run_passes_arguments_and_exit_code(ros2: Ros2) -> None:
    result = ros2("run", PACKAGE, "worker", "7", "--ros-args", "-p", "a:=1")
    assert result.returncode == 7
    assert result.stdout.split()[2:] == ["7", "--ros-args", "-p", "a:=1"]
    assert ros2("run", PACKAGE, "worker", "0").returncode == 0
    assert ros2("run", PACKAGE, "worker", "die").returncode == -signal.SIGKILL


def test_run_with_a_prefix(ros2: Ros2) -> None:
    result = ros2("run", "--prefix", "echo 'a b'", PACKAGE, "worker", "0")
    assert result.stdout.startswith("a b /")
    assert result.stdout.endswith(f"/lib/{PACKAGE}/worker 0\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_passes_signals_on(number: signal.Signals, environment: Environment) -> None:
    running = Running(environment, "run", PACKAGE, "worker", "wait")
    code, out = running.end(number)
    assert code == 0
    assert f"got {number.name}" in out
    assert not is_alive(running.worker_pid)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no_such_package", "worker"), "Package 'no_such_package' not found"),
        ((PACKAGE, "no_such_worker"), "No executable found"),
    ],
)
def test_run_of_something_missing_fails_with_a_reason(
    arguments: tuple[str, ...], message: str, ros2_here: Ros2Here
) -> None:
    code, out = ros2_here("run", *arguments)
    assert code == 1
    assert message in out


def test_help_names_the_commands_and_unknown_ones_are_refused(
    ros2_here: Ros2Here, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = ros2_here()
    assert code == 0
    for command in ("launch", "run", "topic", "node", "param", "lifecycle", "service", "action"):
        assert f"\n    {command}" in out
    for wrong in (("bag",), ("topic",), ("launch", "--no-such-option")):
        with pytest.raises(SystemExit) as exit_info:
            main(wrong)
        assert exit_info.value.code == 2
        assert "usage: ros2" in capsys.readouterr().err
