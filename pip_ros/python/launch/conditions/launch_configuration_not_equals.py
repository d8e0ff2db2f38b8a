"""Do it if a launch configuration has another value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.conditions.launch_configuration_equals import LaunchConfigurationEquals

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class LaunchConfigurationNotEquals(LaunchConfigurationEquals):
    """Holds if the launch configuration has another value, or none; with None, if it is set."""

    def _holds(self, context: LaunchContext) -> bool:
        return not super()._holds(context)
