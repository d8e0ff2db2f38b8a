"""What is to be launched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from launch.launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from launch.actions.declare_launch_argument import DeclareLaunchArgument
    from launch.actions.include_launch_description import IncludeLaunchDescription
    from launch.launch_context import LaunchContext

# An argument with the chain of includes that leads to its declaration (outermost first).
DeclaredArgument = tuple["DeclareLaunchArgument", list["IncludeLaunchDescription"]]


class LaunchDescription(LaunchDescriptionEntity):
    """A sequence of entities, visited in order."""

    def __init__(
        self,
        initial_entities: Iterable[LaunchDescriptionEntity] | None = None,
        *,
        deprecated_reason: str | None = None,
    ) -> None:
        self.__entities = list(initial_entities) if initial_entities is not None else []
        self.__deprecated_reason = deprecated_reason

    @property
    def entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities in their order."""
        return self.__entities

    @property
    def deprecated(self) -> bool:
        """Return whether the description should no longer be used."""
        return self.__deprecated_reason is not None

    @property
    def deprecated_reason(self) -> str | None:
        """Return why the description should no longer be used."""
        return self.__deprecated_reason

    def add_entity(self, entity: LaunchDescriptionEntity) -> None:
        """Append an entity."""
        self.__entities.append(entity)

    def add_action(self, action: LaunchDescriptionEntity) -> None:
        """Append an action."""
        self.add_entity(action)

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities."""
        return self.__entities

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Return the entities to visit."""
        if self.__deprecated_reason is not None:
            from launch.logging import get_logger

            get_logger("launch").warning(f"this launch description is deprecated: {self.__deprecated_reason}")
        return self.__entities

    def get_launch_arguments(self, conditional_inclusion: bool = False) -> list[DeclareLaunchArgument]:
        """Return the arguments declared here and in the launch files included from here, each name once.

        Args:
            conditional_inclusion: this description itself is only used under a condition.
        """
        return [
            argument
            for argument, _ in self.get_launch_arguments_with_include_launch_description_actions(
                conditional_inclusion
            )
        ]

    def get_launch_arguments_with_include_launch_description_actions(
        self, conditional_inclusion: bool = False
    ) -> list[DeclaredArgument]:
        """Return the arguments as ``get_launch_arguments`` does, with the includes that lead to each."""
        found: dict[str, DeclaredArgument] = {}
        _collect_arguments(self.__entities, [], conditional_inclusion, found)
        return list(found.values())


def _collect_arguments(
    entities: Iterable[LaunchDescriptionEntity],
    includes: list[IncludeLaunchDescription],
    conditional: bool,
    found: dict[str, DeclaredArgument],
) -> None:
    from launch.action import Action
    from launch.actions.declare_launch_argument import DeclareLaunchArgument
    from launch.actions.include_launch_description import IncludeLaunchDescription

    for entity in entities:
        here_conditional = conditional or (isinstance(entity, Action) and entity.condition is not None)
        if isinstance(entity, DeclareLaunchArgument):
            entity._conditionally_included = here_conditional
            found.setdefault(entity.name, (entity, includes))
            continue
        here_includes = [*includes, entity] if isinstance(entity, IncludeLaunchDescription) else includes
        _collect_arguments(entity.describe_sub_entities(), here_includes, here_conditional, found)
        for _, later_entities in entity.describe_conditional_sub_entities():
            _collect_arguments(later_entities, here_includes, True, found)
