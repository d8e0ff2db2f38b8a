"""Where the launch file is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.substitution import Substitution
from launch.substitutions.substitution_failure import SubstitutionFailure

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


def _local(context: LaunchContext, name: str) -> str:
    value = context.get_locals_as_dict().get(name)
    if value is None:
        raise SubstitutionFailure(f"{name} is unavailable: the launch description comes from no launch file")
    return str(value)


class ThisLaunchFile(Substitution):
    """The path of the launch file that is being visited."""

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        return "ThisLaunchFile()"

    def perform(self, context: LaunchContext) -> str:
        """Return the path."""
        return _local(context, "current_launch_file_path")


class ThisLaunchFileDir(Substitution):
    """The directory of the launch file that is being visited."""

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        return "ThisLaunchFileDir()"

    def perform(self, context: LaunchContext) -> str:
        """Return the directory."""
        return _local(context, "current_launch_file_directory")
