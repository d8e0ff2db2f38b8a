"""What is done when a launch description joins the launch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from launch.event import Event
from launch.event_handler import BaseEventHandler
from launch.events.include_launch_description import IncludeLaunchDescription
from launch.some_entities_type import SomeEntitiesType

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class OnIncludeLaunchDescription(BaseEventHandler):
    """Visits a launch description that was handed to the launch service."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(matcher=lambda event: isinstance(event, IncludeLaunchDescription), **keywords)

    def handle(self, event: Event, context: LaunchContext) -> SomeEntitiesType | None:
        """Return the description."""
        super().handle(event, context)
        return cast(IncludeLaunchDescription, event).launch_description
