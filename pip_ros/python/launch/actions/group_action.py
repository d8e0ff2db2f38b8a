"""Actions that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.actions.environment import PopEnvironment, PushEnvironment, ResetEnvironment
from launch.actions.launch_configurations import (
    PopLaunchConfigurations,
    PushLaunchConfigurations,
    ResetLaunchConfigurations,
    SetLaunchConfiguration,
)
from launch.launch_description_entity import ConditionalEntities, LaunchDescriptionEntity
from launch.some_substitutions_type import SomeSubstitutionsType

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class GroupAction(Action):
    """Executes actions, by default in a scope of their own.

    Args:
        actions: the actions.
        scoped: what they change of launch configurations and environment ends with the group.
        forwarding: a scoped group sees the launch configurations and the environment around it.
        launch_configurations: configurations to set first.
    """

    def __init__(
        self,
        actions: Iterable[LaunchDescriptionEntity],
        *,
        scoped: bool = True,
        forwarding: bool = True,
        launch_configurations: Mapping[SomeSubstitutionsType, SomeSubstitutionsType] | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self.__actions = list(actions)
        self.__scoped = scoped
        self.__forwarding = forwarding
        self.__launch_configurations = dict(launch_configurations or {})

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the actions, with those that begin and end the scope around them."""
        settings = [
            SetLaunchConfiguration(name, value) for name, value in self.__launch_configurations.items()
        ]
        if not self.__scoped:
            return [*settings, *self.__actions]
        begin: list[Action] = [PushLaunchConfigurations(), PushEnvironment()]
        if not self.__forwarding:
            begin += [ResetLaunchConfigurations(self.__launch_configurations), ResetEnvironment()]
            settings = []
        return [*begin, *settings, *self.__actions, PopEnvironment(), PopLaunchConfigurations()]

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the actions, if they are sure to be executed."""
        return self.__actions if self.condition is None else []

    def describe_conditional_sub_entities(self) -> list[ConditionalEntities]:
        """Return the actions, if they depend on a condition."""
        return [] if self.condition is None else [("conditionally included group", self.__actions)]

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Return the actions."""
        return self.get_sub_entities()
