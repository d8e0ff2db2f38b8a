"""How a process of nodes starts, refuses and ends; with the smallest nodes that can show it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ament_index_python.packages import get_package_prefix

PROGRAM = """
import sys
from sam3d_ros.nodes.lifecycle import AutostartNode, run_nodes


class Talker(AutostartNode):
    def __init__(self):
        super().__init__("talker")
        self.boundary.limit = 3
        self.declare_parameter("trouble", "")
        self.trouble = self.get_parameter("trouble").value
        if self.trouble == "in constructor":
            raise ValueError("trouble in the constructor")

    def say(self, text):
        print(text, flush=True)

    def configure(self):
        if self.trouble == "refuse":
            raise ValueError("the parameter is refused")
        if self.trouble == "defect":
            raise KeyError("a defect")
        self.say("configured")

    def activate(self):
        self.say("activated")
        if self.trouble in ("in callback", "now and then"):
            self.create_timer(0.01, self.fail)

    def fail(self):
        self.count = getattr(self, "count", 0) + 1
        if self.trouble != "now and then" or self.count % 3:
            raise KeyError("a defect in a callback")
        if self.count == 9:
            self.say("still here")

    def refused(self, error):
        self.say(f"told of: {error}")

    def deactivate(self):
        self.say("deactivated")

    def cleanup(self):
        self.say("cleaned up")


sys.exit(run_nodes([Talker], sys.argv))
"""


class Program:
    """The program as a process, and the lines it prints."""

    def __init__(self, folder: Path, *parameters: str) -> None:
        path = folder / "talker.py"
        path.write_text(PROGRAM)
        given = [text for parameter in parameters for text in ("-p", parameter)]
        command = [sys.executable, str(path), "--ros-args", *given] if given else [sys.executable, str(path)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def wait_for_line(self, text: str) -> list[str]:
        """The lines up to the one that holds a text."""
        lines: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            lines.append(line.strip())
            if text in line:
                return lines
        raise AssertionError(f"{text!r} was not printed but: {lines}")

    def end(self, number: int | None = None) -> tuple[int, list[str]]:
        """Send a signal; the exit code and the remaining lines."""
        if number is not None:
            self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=20)
        return self.process.returncode, rest.splitlines()


pytestmark = pytest.mark.usefixtures("own_domain")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_brings_the_nodes_down_in_order_and_ends_with_0(tmp_path: Path, number: int) -> None:
    program = Program(tmp_path)
    assert program.wait_for_line("activated") == ["configured", "activated"]
    assert program.end(number) == (0, ["deactivated", "cleaned up"])


def test_without_autostart_a_node_waits_for_a_manager(tmp_path: Path, probe: Any, wait_for: Any) -> None:
    program = Program(tmp_path, "autostart:=false")
    assert wait_for(lambda: "talker" in probe.node.get_node_names())
    code, lines = program.end(signal.SIGINT)
    assert code == 0
    assert "configured" not in lines


def test_a_refused_transition_is_one_line_and_the_process_lives(tmp_path: Path) -> None:
    program = Program(tmp_path, "trouble:=refuse")
    lines = program.wait_for_line("told of: the parameter is refused")
    assert any("cannot configure: the parameter is refused" in line for line in lines)
    assert not any("Traceback" in line for line in lines)
    assert program.process.poll() is None
    assert program.end(signal.SIGINT)[0] == 0


def test_a_defect_in_a_transition_is_logged_with_its_traceback(tmp_path: Path) -> None:
    program = Program(tmp_path, "trouble:=defect")
    lines = program.wait_for_line("KeyError: 'a defect'")
    assert any("Traceback" in line for line in lines)
    assert program.end(signal.SIGINT)[0] == 0


def test_a_callback_that_always_fails_ends_the_process_with_1_after_cleaning_up(tmp_path: Path) -> None:
    code, lines = Program(tmp_path, "trouble:=in callback").end()
    assert code == 1
    assert sum("KeyError: 'a defect in a callback'" in line for line in lines) >= 3
    assert "the process ends: timer Talker.fail failed 3 times in a row" in lines
    assert lines[-2:] == ["deactivated", "cleaned up"]


def test_a_callback_that_fails_now_and_then_is_logged_and_the_process_lives(tmp_path: Path) -> None:
    program = Program(tmp_path, "trouble:=now and then")
    lines = program.wait_for_line("still here")
    assert any("KeyError: 'a defect in a callback'" in line for line in lines)
    assert program.end(signal.SIGINT)[0] == 0


def test_a_node_that_cannot_be_made_ends_the_process_with_2(tmp_path: Path) -> None:
    code, lines = Program(tmp_path, "trouble:=in constructor").end()
    assert (code, lines) == (2, ["cannot start: trouble in the constructor"])


@pytest.mark.parametrize(
    ("executable", "parameter", "said"),
    [
        ("perception", "nodes:=[sam3d_objects, no_such_node]", "no_such_node"),
        ("sam3d_objects", "image_transport:=x", "image_transport is 'x': give one of raw, compressed"),
        ("sam3d_objects", "tf_timeout:=-1.0", "tf_timeout is -1.0: give a number from 0 to 5"),
        ("sam3d_bodies", "body.mode:=no_such_mode", "body.mode is 'no_such_mode': give one of full, body"),
        ("frame_player", "rate:=0.0", "rate is 0.0: give a number from 0.1 to 120"),
    ],
)
def test_executables_refuse_parameters_with_one_line(executable: str, parameter: str, said: str) -> None:
    path = Path(get_package_prefix("sam3d_ros")) / "lib" / "sam3d_ros" / executable
    command = [sys.executable, str(path), "--ros-args", "-p", parameter]
    answer = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ)
    )
    assert answer.returncode == 2
    assert answer.stderr.startswith("cannot start: invalid_parameter: parameter ")
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
