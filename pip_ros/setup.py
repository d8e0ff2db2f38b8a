"""Build the stand-ins for what the ROS 2 wheels lack: Python modules, and two interface packages."""

import sys
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "cmake"))

from ament_setuptools import AmentPackage, PlatformDistribution, ament_commands  # noqa: E402

INTERFACES = [
    AmentPackage(name=name, source=ROOT / "interfaces" / name) for name in ("tf2_msgs", "vision_msgs")
]

setup(
    distclass=PlatformDistribution,
    cmdclass=ament_commands(INTERFACES, startup_files=[ROOT / "python" / "ros_prefix_environment.pth"]),
)
