"""Something a launch does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch.condition import Condition
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.unsupported import refuse_keywords

if TYPE_CHECKING:
    from launch.frontend.entity import Entity
    from launch.frontend.parser import Parser
    from launch.launch_context import LaunchContext


class Action(LaunchDescriptionEntity):
    """Base of all actions: executed when visited, if its condition holds.

    Raises:
        NotImplementedError: a keyword argument that this implementation of launch does not know.
    """

    def __init__(self, *, condition: Condition | None = None, **unsupported: Any) -> None:
        refuse_keywords(self, unsupported)
        self.__condition = condition

    @classmethod
    def parse(cls, entity: Entity, parser: Parser) -> tuple[type[Action], dict[str, Any]]:
        """Return the class and what every action may be given in a launch file in XML or YAML."""
        return cls, parser.parse_condition(entity)

    @property
    def condition(self) -> Condition | None:
        """Return the condition of the action."""
        return self.__condition

    def describe(self) -> str:
        """Return the action as it is shown to a user."""
        return f"Action({type(self).__name__})"

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Execute the action unless its condition says no."""
        if self.__condition is None or self.__condition.evaluate(context):
            return self.execute(context)
        return None

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Do it; return the entities that are to be visited next."""
        raise NotImplementedError(f"{type(self).__name__} does not implement execute()")
