"""A lifecycle node has changed its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch import Event
from lifecycle_msgs.msg import TransitionEvent

if TYPE_CHECKING:
    from launch_ros.actions.lifecycle_node import LifecycleNode


class StateTransition(Event):
    """A lifecycle node has changed its state.

    Args:
        action: the action of the node.
        msg: what the node published.
    """

    name = "launch_ros.events.lifecycle.StateTransition"

    def __init__(self, *, action: LifecycleNode, msg: TransitionEvent) -> None:
        self.__action = action
        self.__msg = msg

    @property
    def action(self) -> LifecycleNode:
        """Return the action of the node."""
        return self.__action

    @property
    def msg(self) -> TransitionEvent:
        """Return what the node published."""
        return self.__msg

    @property
    def timestamp(self) -> int:
        """Return the time of the transition, ns."""
        return int(self.__msg.timestamp)

    @property
    def transition(self) -> str:
        """Return the label of the transition."""
        return str(self.__msg.transition.label)

    @property
    def start_state(self) -> str:
        """Return the label of the state that was left."""
        return str(self.__msg.start_state.label)

    @property
    def goal_state(self) -> str:
        """Return the label of the state that was reached."""
        return str(self.__msg.goal_state.label)
