"""Where the logs are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.logging import launch_config
from launch.substitution import Substitution

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class LaunchLogDir(Substitution):
    """The directory of the log files of this launch."""

    def perform(self, context: LaunchContext) -> str:
        """Return the directory."""
        return launch_config.log_dir
