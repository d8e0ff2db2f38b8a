"""Let something happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.event import Event

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class EmitEvent(Action):
    """Emits an event."""

    def __init__(self, *, event: Event, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.__event = event

    @property
    def event(self) -> Event:
        """Return the event."""
        return self.__event

    def execute(self, context: LaunchContext) -> None:
        """Emit the event."""
        context.emit_event_sync(self.__event)
