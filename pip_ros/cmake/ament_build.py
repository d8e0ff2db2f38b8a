"""Build ament_cmake packages against the ROS 2 wheels, as colcon does against a ROS installation."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

WHEEL_INCLUDES = Path(__file__).resolve().with_name("wheel_includes.cmake")


def ros_prefix() -> Path:
    """Return the prefix that the ROS 2 wheels of this interpreter are installed in.

    That is the virtual environment, or pip's throw-away build environment.

    Raises:
        RuntimeError: the interface generators are not installed.
    """
    spec = importlib.util.find_spec("rosidl_cmake")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            f"the ROS 2 interface generators are not installed for {sys.executable}: "
            "install requirements/build.txt first, or build with colcon on a ROS installation"
        )
    return (
        Path(spec.origin).resolve().parents[4]
    )  # <prefix>/lib/pythonX.Y/site-packages/rosidl_cmake/__init__.py


def build_package(
    source: Path,
    *,
    build: Path,
    prefix: Path,
    install_prefix: Path | None = None,
    components: Sequence[str] = (),
) -> None:
    """Configure, build and install one ament_cmake package.

    Args:
        source: folder with the CMakeLists.txt and package.xml.
        build: folder for the build.
        prefix: folder that the package is configured for.
        install_prefix: folder that the files are put into; by default ``prefix``.
        components: install components to install; empty means all.

    Raises:
        subprocess.CalledProcessError: cmake failed; its output says why.
    """
    ros = ros_prefix()
    environment = dict(os.environ)
    environment["AMENT_PREFIX_PATH"] = environment["CMAKE_PREFIX_PATH"] = str(ros)
    environment["PATH"] = os.pathsep.join([str(ros / "bin"), environment.get("PATH", os.defpath)])

    def cmake(*arguments: str | Path) -> None:
        subprocess.run(["cmake", *map(str, arguments)], env=environment, check=True)

    cmake(
        *("-S", source, "-B", build, "-G", "Ninja"),
        f"-DCMAKE_INSTALL_PREFIX={prefix}",
        f"-DCMAKE_PROJECT_INCLUDE={WHEEL_INCLUDES}",
        f"-DPython3_EXECUTABLE={sys.executable}",
        "-DCMAKE_BUILD_TYPE=Release",
        "-DBUILD_TESTING=OFF",
        "-Wno-dev",
    )
    cmake("--build", build)
    install = ["--install", str(build), "--prefix", str(install_prefix or prefix)]
    for selection in [["--component", component] for component in components] or [[]]:
        cmake(*install, *selection)
