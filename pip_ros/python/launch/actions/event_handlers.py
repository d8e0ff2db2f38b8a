"""Coming and going of event handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.event_handler import BaseEventHandler
from launch.launch_description_entity import ConditionalEntities

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class RegisterEventHandler(Action):
    """Registers an event handler."""

    def __init__(self, event_handler: BaseEventHandler, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.__event_handler = event_handler

    @property
    def event_handler(self) -> BaseEventHandler:
        """Return the handler."""
        return self.__event_handler

    def execute(self, context: LaunchContext) -> None:
        """Register the handler."""
        context.register_event_handler(self.__event_handler)

    def describe_conditional_sub_entities(self) -> list[ConditionalEntities]:
        """Return what the handler is known to lead to."""
        description, entities = self.__event_handler.describe()
        return [(description, entities)] if entities else []


class UnregisterEventHandler(Action):
    """Removes an event handler."""

    def __init__(self, event_handler: BaseEventHandler, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.__event_handler = event_handler

    @property
    def event_handler(self) -> BaseEventHandler:
        """Return the handler."""
        return self.__event_handler

    def execute(self, context: LaunchContext) -> None:
        """Remove the handler."""
        context.unregister_event_handler(self.__event_handler)
