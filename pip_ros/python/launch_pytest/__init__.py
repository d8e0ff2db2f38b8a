"""Tests of launches with pytest, where no ROS is installed."""

from launch_pytest import actions, tools
from launch_pytest.fixture import fixture

__all__ = ["actions", "fixture", "tools"]
