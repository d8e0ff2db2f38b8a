"""Changes of the launch configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class SetLaunchConfiguration(Action):
    """Sets a launch configuration in the current scope."""

    def __init__(self, name: SomeSubstitutionsType, value: SomeSubstitutionsType, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.__name = normalize_to_list_of_substitutions(name)
        self.__value = normalize_to_list_of_substitutions(value)

    @property
    def name(self) -> list[Substitution]:
        """Return the name of the configuration."""
        return self.__name

    @property
    def value(self) -> list[Substitution]:
        """Return the value of the configuration."""
        return self.__value

    def execute(self, context: LaunchContext) -> None:
        """Set the configuration."""
        name = perform_substitutions(context, self.__name)
        context.launch_configurations[name] = perform_substitutions(context, self.__value)


class UnsetLaunchConfiguration(Action):
    """Removes a launch configuration, if it is set."""

    def __init__(self, name: SomeSubstitutionsType, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.__name = normalize_to_list_of_substitutions(name)

    def execute(self, context: LaunchContext) -> None:
        """Remove the configuration."""
        context.launch_configurations.pop(perform_substitutions(context, self.__name), None)


class PushLaunchConfigurations(Action):
    """Begins a scope of the launch configurations."""

    def execute(self, context: LaunchContext) -> None:
        """Begin the scope."""
        context._push_launch_configurations()


class PopLaunchConfigurations(Action):
    """Ends a scope of the launch configurations."""

    def execute(self, context: LaunchContext) -> None:
        """Bring back the configurations of before the scope."""
        context._pop_launch_configurations()


class ResetLaunchConfigurations(Action):
    """Removes all launch configurations except those given."""

    def __init__(
        self,
        launch_configurations: Mapping[SomeSubstitutionsType, SomeSubstitutionsType] | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self.__launch_configurations = dict(launch_configurations or {})

    def execute(self, context: LaunchContext) -> None:
        """Remove all configurations, then set those given; they are evaluated before."""
        kept = {
            perform_substitutions(context, normalize_to_list_of_substitutions(name)): perform_substitutions(
                context, normalize_to_list_of_substitutions(value)
            )
            for name, value in self.__launch_configurations.items()
        }
        context.launch_configurations.clear()
        context.launch_configurations.update(kept)
