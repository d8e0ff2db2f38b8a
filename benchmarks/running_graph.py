"""Player and perception as processes of their own, for the benchmarks of the graph."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_prefix, get_package_share_directory

from sam3d_ros.nodes.process_environment import PROCESS_ENVIRONMENT

#: How long a process may take to end after SIGINT, seconds.
END_PATIENCE = 20.0


def use_domain(domain: int) -> None:
    """Keep this process and its children to themselves, in the environment that perception.launch.py sets."""
    profile = str(Path(get_package_share_directory("sam3d_ros")) / "config" / "fastdds.xml")
    os.environ.update(
        ROS_DOMAIN_ID=str(domain),
        ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST",
        FASTRTPS_DEFAULT_PROFILES_FILE=profile,
        FASTDDS_DEFAULT_PROFILES_FILE=profile,
        **PROCESS_ENVIRONMENT,
    )


@contextmanager
def running(
    executable: str, parameters: Mapping[str, Any], remappings: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run an executable of the package; SIGINT at the end."""
    path = Path(get_package_prefix("sam3d_ros")) / "lib" / "sam3d_ros" / executable
    command = [sys.executable, str(path), "--ros-args", "--log-level", "warn"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={value}"]
    for name, topic in (remappings or {}).items():
        command += ["-r", f"{name}:={topic}"]
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(END_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()


def machine(cores: int | None = None) -> str:
    """The machine that figures belong to."""
    used = len(os.sched_getaffinity(0)) if cores is None else cores
    return f"{used} of {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
