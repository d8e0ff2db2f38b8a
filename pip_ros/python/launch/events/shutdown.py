"""The end of a launch."""

from launch.event import Event


class Shutdown(Event):
    """The launch shuts down.

    Args:
        reason: why, in words.
        due_to_sigint: the user pressed Ctrl-C.
    """

    name = "launch.events.Shutdown"

    def __init__(self, *, reason: str = "reason not given", due_to_sigint: bool = False) -> None:
        self.__reason = reason
        self.__due_to_sigint = due_to_sigint

    @property
    def reason(self) -> str:
        """Return why, in words."""
        return self.__reason

    @property
    def due_to_sigint(self) -> bool:
        """Return whether the user pressed Ctrl-C."""
        return self.__due_to_sigint
