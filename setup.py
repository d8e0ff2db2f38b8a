"""Build with pip, on a machine without a ROS installation. With one, colcon uses CMakeLists.txt alone."""

import sys
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "pip_ros" / "cmake"))

from ament_setuptools import AmentPackage, PlatformDistribution, ament_commands  # noqa: E402

COMMAND = "sam3d-ros"  # pip makes it from [project.scripts]
EXECUTABLES = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.name != COMMAND)
SHARED_FOLDERS = ("launch", "config", "checkpoints")

PACKAGE = AmentPackage(
    name="sam3d_ros",
    source=ROOT,
    links={
        **{f"share/sam3d_ros/{folder}": folder for folder in SHARED_FOLDERS},
        **{f"lib/sam3d_ros/{executable}": f"scripts/{executable}" for executable in EXECUTABLES},
    },
    module_init="sam3d_ros/__init__.py",
)

setup(distclass=PlatformDistribution, cmdclass=ament_commands([PACKAGE]))
