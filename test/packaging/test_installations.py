"""Both ways of installing work from the sources alone: wheels in a new environment, and a colcon workspace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WHEELS_IN_USE = shutil.which("ros2", path=str(Path(sys.prefix, "bin"))) is not None

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PUBLISH_AND_RECEIVE = """
import time, rclpy
from sam3d_ros.msg import ObjectArray, ReconstructedObject
rclpy.init()
node = rclpy.create_node("installation_check")
received = []
node.create_subscription(ObjectArray, "objects", received.append, 10)
publisher = node.create_publisher(ObjectArray, "objects", 10)
deadline = time.monotonic() + 20
while not received and time.monotonic() < deadline:
    publisher.publish(ObjectArray(objects=[ReconstructedObject(id=7, label="mug")]))
    rclpy.spin_once(node, timeout_sec=0.1)
rclpy.shutdown()
print(received[0].objects[0].id, received[0].objects[0].label)
"""


@dataclass(frozen=True)
class Installation:
    """Where the package is installed, and the environment of a shell that uses it."""

    prefix: Path
    python: Path
    environment: Mapping[str, str]

    def run(self, *command: str | Path) -> str:
        """Run a command from a folder that holds nothing of the package; return what it printed."""
        result = subprocess.run(
            [str(word) for word in command],
            cwd="/",
            env=dict(self.environment),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout


def bare_environment(**variables: str) -> dict[str, str]:
    """Return the environment of a fresh log-in: nothing of this process's virtual environment is left."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("PIP_", "SSL_")) or "proxy" in name
    }
    system_path = os.pathsep.join(
        folder for folder in os.environ["PATH"].split(os.pathsep) if not folder.startswith(sys.prefix)
    )
    return {"HOME": os.environ["HOME"], **kept, "PATH": system_path, "ROS_DOMAIN_ID": "87", **variables}


def run(*command: str | Path, environment: Mapping[str, str], folder: Path) -> None:
    result = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-8000:]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that builds leave nothing in it and take nothing from an earlier one."""
    copy = tmp_path_factory.mktemp("sources") / "sam3d_ros"
    generated = shutil.ignore_patterns(
        ".*", "build", "install", "log", "dist", "*.egg-info", "__pycache__", "demo_output"
    )
    shutil.copytree(ROOT, copy, ignore=generated)
    return copy


@pytest.fixture(scope="module")
def wheels_installation(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A new virtual environment with both wheels and what they ask for."""
    if not WHEELS_IN_USE:
        pytest.skip("a ROS installation is sourced: wheels are for machines without one")
    folder = tmp_path_factory.mktemp("wheels")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    build = (*pip, "wheel", "--no-build-isolation", "--no-deps", "-w", folder, sources / "pip_ros", sources)
    run(*build, environment=os.environ, folder=folder)

    prefix = folder / "environment"
    base_python = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    environment = bare_environment()
    run(base_python, "-m", "venv", prefix, environment=environment, folder=folder)
    constraints = ("-c", ROOT / "requirements/constraints.txt", "-r", ROOT / "requirements/perception.txt")
    install = (
        prefix / "bin/python",
        *pip[1:],
        "install",
        "--no-compile",
        *constraints,
        *sorted(folder.glob("*.whl")),
    )
    run(*install, environment=environment, folder=folder)
    return Installation(prefix, prefix / "bin/python", environment)


@pytest.fixture(scope="module")
def colcon_installation(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A colcon workspace built on this environment's ROS, and its setup.bash sourced."""
    workspace = tmp_path_factory.mktemp("workspace")
    colcon = shutil.which("colcon", path=os.pathsep.join([str(Path(sys.prefix, "bin")), os.environ["PATH"]]))
    assert colcon is not None, "colcon is not installed: make setup installs it beside the wheels"
    options = ["-DBUILD_TESTING=OFF"]
    if WHEELS_IN_USE:
        options.append("-GNinja")
        options.append(f"-DCMAKE_PROJECT_INCLUDE={ROOT / 'pip_ros/cmake/wheel_includes.cmake'}")
    build = (colcon, "build", "--merge-install", "--base-paths", sources, "--cmake-args", *options)
    run(*build, environment=os.environ, folder=workspace)

    prefix = workspace / "install"
    sourced = subprocess.run(
        ["bash", "-c", f"source {prefix}/setup.bash && env -0"],
        env=dict(os.environ),
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    environment = dict(entry.split("=", 1) for entry in sourced.split("\0") if "=" in entry)
    return Installation(prefix, Path(sys.executable), {**environment, "ROS_DOMAIN_ID": "88"})


@pytest.fixture(scope="module", params=["wheels", "colcon"])
def installation(request: pytest.FixtureRequest) -> Installation:
    found: Installation = request.getfixturevalue(f"{request.param}_installation")
    return found


def test_modules_and_messages_come_from_the_installation(installation: Installation) -> None:
    script = "import sam3d_ros.msg, sam3d_ros.geometry.frames as rooms; print(sam3d_ros.msg.__file__, rooms.__file__)"
    for file in installation.run(installation.python, "-c", script).split():
        assert Path(file).is_relative_to(installation.prefix)


def test_messages_travel(installation: Installation) -> None:
    assert installation.run(installation.python, "-c", PUBLISH_AND_RECEIVE).split() == ["7", "mug"]


def test_shared_files_are_found(installation: Installation) -> None:
    script = "import ament_index_python.packages as p; print(p.get_package_share_directory('sam3d_ros'))"
    share = Path(installation.run(installation.python, "-c", script).strip())
    assert share == installation.prefix / "share/sam3d_ros"
    for folder in ("launch", "config", "checkpoints"):
        expected = sorted(path.name for path in (ROOT / folder).iterdir() if path.is_file())
        assert sorted(path.name for path in (share / folder).iterdir() if path.is_file()) == expected


def test_executables_are_found(installation: Installation) -> None:
    folder = installation.prefix / "lib/sam3d_ros"
    names = {path.name for path in (ROOT / "scripts").iterdir()} - {"sam3d-ros"}
    assert {path.name for path in folder.iterdir()} == names
    assert all(os.access(path, os.X_OK) for path in folder.iterdir())


def test_the_command_starts(installation: Installation) -> None:
    assert "reconstruct" in installation.run(installation.prefix / "bin/sam3d-ros", "--help")


def test_launch_file_describes_its_arguments(installation: Installation) -> None:
    ros2 = shutil.which("ros2", path=str(installation.python.parent)) or "ros2"
    shown = installation.run(ros2, "launch", "sam3d_ros", "perception.launch.py", "--show-args")
    assert "target_frame" in shown


def test_other_interfaces_come_with_the_wheels(wheels_installation: Installation) -> None:
    script = "import tf2_msgs.msg, vision_msgs.msg; print(tf2_msgs.msg.__file__, vision_msgs.msg.__file__)"
    for file in wheels_installation.run(wheels_installation.python, "-c", script).split():
        assert Path(file).is_relative_to(wheels_installation.prefix)
