"""The package hri_msgs for machines that do not have it: the messages of REP-155 that are used, generated anew.

Names and types of the fields are those of the package that ROS distributes (ROS 2 Humble); nothing else of it is here.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pip_ros" / "cmake"))

from ament_build import build_package

NAME = "hri_msgs"
MESSAGES = {
    "IdsList": "std_msgs/Header header\nstring[] ids\n",
    "NormalizedPointOfInterest2D": "float32 x\nfloat32 y\nfloat32 c\n",
    "NormalizedRegionOfInterest2D": (
        "std_msgs/Header header\nfloat32 xmin\nfloat32 ymin\nfloat32 xmax\nfloat32 ymax\nfloat32 c\n"
    ),
    "Skeleton2D": (
        "uint8 NOSE=0\nuint8 NECK=1\n"
        "uint8 RIGHT_SHOULDER=2\nuint8 RIGHT_ELBOW=3\nuint8 RIGHT_WRIST=4\n"
        "uint8 LEFT_SHOULDER=5\nuint8 LEFT_ELBOW=6\nuint8 LEFT_WRIST=7\n"
        "uint8 RIGHT_HIP=8\nuint8 RIGHT_KNEE=9\nuint8 RIGHT_ANKLE=10\n"
        "uint8 LEFT_HIP=11\nuint8 LEFT_KNEE=12\nuint8 LEFT_ANKLE=13\n"
        "uint8 LEFT_EYE=14\nuint8 RIGHT_EYE=15\nuint8 LEFT_EAR=16\nuint8 RIGHT_EAR=17\n"
        "std_msgs/Header header\nhri_msgs/NormalizedPointOfInterest2D[18] skeleton\n"
    ),
}
_CMAKE = """\
cmake_minimum_required(VERSION 3.22)
project({name} LANGUAGES C CXX)
find_package(ament_cmake REQUIRED)
find_package(std_msgs REQUIRED)
find_package(rosidl_default_generators REQUIRED)
rosidl_generate_interfaces(${{PROJECT_NAME}} {files} DEPENDENCIES std_msgs)
ament_package()
"""
_MANIFEST = """\
<package format="3">
  <name>{name}</name>
  <version>0.0.0</version>
  <description>Messages of REP-155 for a test.</description>
  <maintainer email="sam3d-ros@example.org">sam3d_ros maintainers</maintainer>
  <license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend>
  <buildtool_depend>rosidl_default_generators</buildtool_depend>
  <depend>std_msgs</depend>
  <exec_depend>rosidl_default_runtime</exec_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""


def provide_hri_msgs(root: Path) -> dict[str, str]:
    """Let this process import hri_msgs: the package that is installed, or one that is generated and built here.

    Args:
        root: an empty folder to build it in.

    Returns:
        The variables of the environment that let other processes import it, too.
    """
    if importlib.util.find_spec(NAME) is not None:
        return {}
    source, prefix = root / "source", root / "prefix"
    (source / "msg").mkdir(parents=True)
    for name, definition in MESSAGES.items():
        (source / "msg" / f"{name}.msg").write_text(definition)
    files = " ".join(f'"msg/{name}.msg"' for name in MESSAGES)
    (source / "CMakeLists.txt").write_text(_CMAKE.format(name=NAME, files=files))
    (source / "package.xml").write_text(_MANIFEST.format(name=NAME))
    build_package(source, build=root / "build", prefix=prefix)
    (modules,) = prefix.glob("lib/python*/site-packages")
    _load(sorted((prefix / "lib").glob("*.so")))
    sys.path.append(str(modules))
    places = {"PYTHONPATH": modules, "LD_LIBRARY_PATH": prefix / "lib"}
    return {
        name: os.pathsep.join(filter(None, (str(path), os.environ.get(name))))
        for name, path in places.items()
    }


def _load(libraries: list[Path]) -> None:
    """The linker takes what is loaded already, wherever it lies; some of them need others of them."""
    failed = []
    for library in libraries:
        try:
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        except OSError:
            failed.append(library)
    assert len(failed) < len(libraries), f"cannot load {failed}"
    if failed:
        _load(failed)
