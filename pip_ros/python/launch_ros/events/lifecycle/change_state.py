"""A lifecycle node is to change its state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from launch import Event
from lifecycle_msgs.msg import Transition

if TYPE_CHECKING:
    from launch_ros.actions.lifecycle_node import LifecycleNode


class ChangeState(Event):
    """The lifecycle nodes that a matcher accepts are to make a transition.

    Args:
        lifecycle_node_matcher: predicate on actions.
        transition_id: one of the constants of lifecycle_msgs/msg/Transition.
    """

    name = "launch_ros.events.lifecycle.ChangeState"

    VALID_TRANSITIONS: ClassVar[dict[int, str]] = {
        Transition.TRANSITION_CREATE: "TRANSITION_CREATE",
        Transition.TRANSITION_CONFIGURE: "TRANSITION_CONFIGURE",
        Transition.TRANSITION_CLEANUP: "TRANSITION_CLEANUP",
        Transition.TRANSITION_ACTIVATE: "TRANSITION_ACTIVATE",
        Transition.TRANSITION_DEACTIVATE: "TRANSITION_DEACTIVATE",
        Transition.TRANSITION_UNCONFIGURED_SHUTDOWN: "TRANSITION_UNCONFIGURED_SHUTDOWN",
        Transition.TRANSITION_INACTIVE_SHUTDOWN: "TRANSITION_INACTIVE_SHUTDOWN",
        Transition.TRANSITION_ACTIVE_SHUTDOWN: "TRANSITION_ACTIVE_SHUTDOWN",
        Transition.TRANSITION_DESTROY: "TRANSITION_DESTROY",
    }

    def __init__(
        self, *, lifecycle_node_matcher: Callable[[LifecycleNode], bool], transition_id: int
    ) -> None:
        if transition_id not in self.VALID_TRANSITIONS:
            raise ValueError(
                f"'transition_id' is {transition_id}, expected one of {sorted(self.VALID_TRANSITIONS)}"
            )
        self.__matcher: Callable[[Any], bool] = lifecycle_node_matcher
        self.__transition_id = transition_id

    @property
    def lifecycle_node_matcher(self) -> Callable[[Any], bool]:
        """Return the predicate on actions."""
        return self.__matcher

    @property
    def transition_id(self) -> int:
        """Return the transition."""
        return self.__transition_id
