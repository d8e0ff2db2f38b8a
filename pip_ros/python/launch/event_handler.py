"""What is done when an event happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from launch.event import Event
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.some_entities_type import SomeEntitiesType
from launch.unsupported import refuse_keywords

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


def as_entities(entities: SomeEntitiesType | None) -> list[LaunchDescriptionEntity]:
    """Return one entity, an iterable of them, or None as a list."""
    if entities is None:
        return []
    if isinstance(entities, LaunchDescriptionEntity):
        return [entities]
    if isinstance(entities, Iterable):
        return list(entities)
    raise TypeError(f"expected an entity or an iterable of entities, got {type(entities).__name__}")


class BaseEventHandler:
    """Base of all event handlers: a matcher and what to do with the events it accepts."""

    def __init__(
        self, *, matcher: Callable[[Event], bool], handle_once: bool = False, **unsupported: Any
    ) -> None:
        refuse_keywords(self, unsupported)
        self.__matcher = matcher
        self.__handle_once = handle_once

    @property
    def handle_once(self) -> bool:
        """Return whether the handler is removed by its first event."""
        return self.__handle_once

    @property
    def handler_description(self) -> str:
        """Return what the handler does, in words."""
        return f"<{type(self).__name__}>"

    @property
    def matcher_description(self) -> str:
        """Return which events the handler takes, in words."""
        return repr(self.__matcher)

    def matches(self, event: Event) -> bool:
        """Return whether the handler takes the event."""
        return self.__matcher(event)

    def describe(self) -> tuple[str, list[LaunchDescriptionEntity]]:
        """Return the handler in words, and the entities that it is known to lead to."""
        return (f"{type(self).__name__}(matcher={self.matcher_description!r})", [])

    def handle(self, event: Event, context: LaunchContext) -> SomeEntitiesType | None:
        """Handle the event; return the entities to visit. The event is ``context.locals.event``."""
        context.extend_locals({"event": event})
        if self.__handle_once:
            context.unregister_event_handler(self)
        return None


class EventHandler(BaseEventHandler):
    """Visits fixed entities when an event matches."""

    def __init__(
        self,
        *,
        matcher: Callable[[Event], bool],
        entities: SomeEntitiesType | None = None,
        handle_once: bool = False,
        **unsupported: Any,
    ) -> None:
        super().__init__(matcher=matcher, handle_once=handle_once, **unsupported)
        self.__entities = as_entities(entities)

    @property
    def entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities that are visited for each event."""
        return self.__entities

    def describe(self) -> tuple[str, list[LaunchDescriptionEntity]]:
        """Return the handler in words, and its entities."""
        return (super().describe()[0], self.__entities)

    def handle(self, event: Event, context: LaunchContext) -> SomeEntitiesType | None:
        """Return the entities to visit."""
        super().handle(event, context)
        return self.__entities
