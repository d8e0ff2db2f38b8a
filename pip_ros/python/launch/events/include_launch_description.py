"""A launch description joins the launch."""

from launch.event import Event
from launch.launch_description import LaunchDescription


class IncludeLaunchDescription(Event):
    """A launch description is to be visited."""

    name = "launch.events.IncludeLaunchDescription"

    def __init__(self, launch_description: LaunchDescription) -> None:
        self.__launch_description = launch_description

    @property
    def launch_description(self) -> LaunchDescription:
        """Return the description."""
        return self.__launch_description
