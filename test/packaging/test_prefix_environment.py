"""Without a ROS installation nothing is sourced: the environment itself leads processes to packages and programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ros_prefix_environment = pytest.importorskip(
    "ros_prefix_environment", reason="a ROS installation is sourced: its own setup files do this"
)


def environment_of_child(**variables: str) -> dict[str, str]:
    """Return what a Python process of this environment sees when it is started with these variables only."""
    script = "import os; print('\\n'.join(f'{k}={v}' for k, v in os.environ.items() if '\\n' not in v))"
    output = subprocess.run(
        [sys.executable, "-c", script], env=variables, cwd="/", capture_output=True, check=True, text=True
    ).stdout
    return dict(line.split("=", 1) for line in output.splitlines())


def test_a_bare_process_finds_packages_and_programs() -> None:
    child = environment_of_child(PATH="/usr/bin:/bin")
    assert child["AMENT_PREFIX_PATH"] == sys.prefix
    assert child["PATH"] == os.pathsep.join([f"{sys.prefix}/bin", "/usr/bin", "/bin"])


def test_what_the_user_put_there_is_kept() -> None:
    child = environment_of_child(PATH="/usr/bin", AMENT_PREFIX_PATH="/opt/overlay")
    assert child["AMENT_PREFIX_PATH"].split(os.pathsep) == [sys.prefix, "/opt/overlay"]


def test_a_grandchild_adds_nothing() -> None:
    once = environment_of_child(PATH="/usr/bin")
    assert environment_of_child(**once) == once


def test_programs_of_the_package_run_on_this_interpreter(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/usr/bin/env python3\nimport sys; print(sys.prefix)\n")
    program.chmod(0o755)
    script = f"import subprocess; subprocess.run([{str(program)!r}], check=True)"
    output = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert output.strip() == sys.prefix
