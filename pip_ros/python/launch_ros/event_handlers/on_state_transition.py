"""What is done when a lifecycle node has changed its state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from launch import Event, EventHandler, SomeEntitiesType
from launch_ros.actions.lifecycle_node import LifecycleNode
from launch_ros.events.lifecycle import StateTransition


class OnStateTransition(EventHandler):
    """Does something when a lifecycle node has changed its state.

    Args:
        entities: what to visit.
        target_lifecycle_node: the node; None: any node.
        matcher: further predicate on the event.
        transition: label of the transition; None: any.
        start_state: label of the state that is left; None: any.
        goal_state: label of the state that is reached; None: any.
    """

    def __init__(
        self,
        *,
        entities: SomeEntitiesType | None,
        target_lifecycle_node: LifecycleNode | None = None,
        matcher: Callable[[Event], bool] | None = None,
        transition: str | None = None,
        start_state: str | None = None,
        goal_state: str | None = None,
        **kwargs: Any,
    ) -> None:
        if target_lifecycle_node is not None and not isinstance(target_lifecycle_node, LifecycleNode):
            raise TypeError(f"expected a LifecycleNode, got {target_lifecycle_node!r}")

        def accepts(event: Event) -> bool:
            return (
                isinstance(event, StateTransition)
                and (matcher is None or matcher(event))
                and (target_lifecycle_node is None or event.action is target_lifecycle_node)
                and transition in (None, event.transition)
                and start_state in (None, event.start_state)
                and goal_state in (None, event.goal_state)
            )

        super().__init__(matcher=accepts, entities=entities, **kwargs)
