"""Player and perception as processes of their own, for the benchmarks of the graph."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_prefix, get_package_share_directory

from sam3d_ros.nodes.process_environment import PROCESS_ENVIRONMENT

#: How long a process may take to end after SIGINT, seconds.
END_PATIENCE = 20.0
#: Set by the ROS wheels and for ROS, for one virtual environment: another one must find its own.
OWN_VARIABLES = ("LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE", "PYTHONPATH", "AMENT_PREFIX_PATH")
#: Variables that name the Fast DDS profile, of the older and the newer releases.
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
#: Asks an installation what `Installation` holds.
QUESTION = """
import json
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from sam3d_ros.nodes.process_environment import PROCESS_ENVIRONMENT
name = "sam3d_ros"
print(json.dumps([get_package_prefix(name), get_package_share_directory(name), dict(PROCESS_ENVIRONMENT)]))
"""


@dataclass(frozen=True)
class Installation:
    """A version of the package that can be run.

    Attributes:
        name: in tables.
        python: its interpreter.
        prefix: what it is installed under.
        share: where its configuration is.
        environment: what its processes of perception want.
        is_own: it is the one that this process belongs to.
    """

    name: str
    python: Path
    prefix: Path
    share: Path
    environment: Mapping[str, str]
    is_own: bool = True

    @staticmethod
    def this() -> Installation:
        """The one that this process belongs to."""
        prefix, share = get_package_prefix("sam3d_ros"), get_package_share_directory("sam3d_ros")
        return Installation("this", Path(sys.executable), Path(prefix), Path(share), PROCESS_ENVIRONMENT)

    @staticmethod
    def other(prefix: Path) -> Installation:
        """The one in another virtual environment.

        Raises:
            FileNotFoundError: there is no virtual environment.
            RuntimeError: the package is not installed there.
        """
        python = prefix.absolute() / "bin" / "python"
        # Isolated, or the package of the working folder would answer.
        command = [str(python), "-I", "-c", QUESTION]
        answer = subprocess.run(
            command, env=_without(os.environ, OWN_VARIABLES), capture_output=True, text=True, check=False
        )
        if answer.returncode != 0:
            raise RuntimeError(f"{prefix} holds no installation that can be run:\n{answer.stderr}")
        package, share, environment = json.loads(answer.stdout)
        return Installation("other", python, Path(package), Path(share), environment, is_own=False)

    def command(self, executable: str) -> list[str]:
        """An executable of the package."""
        return [str(self.python), str(self.prefix / "lib" / "sam3d_ros" / executable)]

    def variables(self) -> dict[str, str]:
        """The environment of its processes, in the domain of this process."""
        base = dict(os.environ) if self.is_own else _without(os.environ, OWN_VARIABLES)
        profile = str(self.share / "config" / "fastdds.xml")
        return {
            **_without(base, PROCESS_ENVIRONMENT),
            **self.environment,
            **dict.fromkeys(PROFILE_VARIABLES, profile),
        }


def use_domain(domain: int) -> None:
    """Keep this process and its children to themselves, in the environment that perception.launch.py sets."""
    this = Installation.this()
    os.environ.update(this.variables(), ROS_DOMAIN_ID=str(domain), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")


@contextmanager
def running(
    executable: str,
    parameters: Mapping[str, Any],
    remappings: Mapping[str, str] | None = None,
    installation: Installation | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run an executable of the package, of this installation unless another is given; SIGINT at the end."""
    used = installation or Installation.this()
    command = [*used.command(executable), "--ros-args", "--log-level", "warn"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={value}"]
    for name, topic in (remappings or {}).items():
        command += ["-r", f"{name}:={topic}"]
    with started(command, used.variables()) as process:
        yield process


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command; SIGINT at the end, and no mercy for one that takes no notice."""
    process = subprocess.Popen(command, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(END_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            print(f"{command[1]} did not end by itself", file=sys.stderr)


def machine(cores: int | None = None) -> str:
    """The machine that figures belong to."""
    used = len(os.sched_getaffinity(0)) if cores is None else cores
    return f"{used} of {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def _without(variables: Mapping[str, str], names: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in names}
