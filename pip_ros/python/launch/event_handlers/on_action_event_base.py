"""What is done when something happens to an action."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.event import Event
from launch.event_handler import BaseEventHandler, as_entities
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.some_entities_type import SomeEntitiesType

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

ActionMatcher = Action | Callable[[Any], bool]
OnEvent = SomeEntitiesType | Callable[[Any, "LaunchContext"], SomeEntitiesType | None]


class OnActionEventBase(BaseEventHandler):
    """Base of the handlers of events that belong to one action.

    Args:
        action_matcher: the action, a predicate on actions, or None for every action.
        on_event: the entities to visit, or a function of event and context that returns them.
        target_event_cls: type of the events.
        target_action_cls: type that an action given as ``action_matcher`` must have.
    """

    def __init__(
        self,
        *,
        action_matcher: ActionMatcher | None,
        on_event: OnEvent,
        target_event_cls: type[Event],
        target_action_cls: type[Action],
        **keywords: Any,
    ) -> None:
        if action_matcher is not None and not (
            isinstance(action_matcher, target_action_cls) or _is_predicate(action_matcher)
        ):
            raise ValueError(
                f"action_matcher must be an '{target_action_cls.__name__}' instance or a callable, "
                f"got {action_matcher!r}"
            )
        self.__action_matcher = action_matcher
        self.__target_event_cls = target_event_cls
        self.__on_event: Callable[[Any, LaunchContext], SomeEntitiesType | None] | None = None
        self.__entities: list[LaunchDescriptionEntity] = []
        if isinstance(on_event, LaunchDescriptionEntity) or not callable(on_event):
            self.__entities = as_entities(on_event)
        else:
            self.__on_event = on_event
        super().__init__(matcher=self._accepts, **keywords)

    def _accepts(self, event: Event) -> bool:
        if not isinstance(event, self.__target_event_cls):
            return False
        action = getattr(event, "action", None)
        matcher = self.__action_matcher
        if matcher is None:
            return True
        if isinstance(matcher, Action):
            return action is matcher
        return matcher(action)

    def describe(self) -> tuple[str, list[LaunchDescriptionEntity]]:
        """Return the handler in words, and its entities."""
        return (super().describe()[0], self.__entities)

    def handle(self, event: Event, context: LaunchContext) -> SomeEntitiesType | None:
        """Return the entities to visit."""
        super().handle(event, context)
        if self.__on_event is not None:
            return self.__on_event(event, context)
        return self.__entities


def _is_predicate(matcher: object) -> bool:
    return callable(matcher) and not isinstance(matcher, LaunchDescriptionEntity)
