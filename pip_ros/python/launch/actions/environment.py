"""Changes of the environment, seen by the processes that are started afterwards in the same scope."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch.utilities.type_utils import SomeBool, TypedValue

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class SetEnvironmentVariable(Action):
    """Sets an environment variable."""

    def __init__(self, name: SomeSubstitutionsType, value: SomeSubstitutionsType, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.__name = normalize_to_list_of_substitutions(name)
        self.__value = normalize_to_list_of_substitutions(value)

    @property
    def name(self) -> list[Substitution]:
        """Return the name of the variable."""
        return self.__name

    @property
    def value(self) -> list[Substitution]:
        """Return the value of the variable."""
        return self.__value

    def execute(self, context: LaunchContext) -> None:
        """Set the variable."""
        name = perform_substitutions(context, self.__name)
        context.environment[name] = perform_substitutions(context, self.__value)


class UnsetEnvironmentVariable(Action):
    """Removes an environment variable, if it is set."""

    def __init__(self, name: SomeSubstitutionsType, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.__name = normalize_to_list_of_substitutions(name)

    def execute(self, context: LaunchContext) -> None:
        """Remove the variable."""
        context.environment.pop(perform_substitutions(context, self.__name), None)


class AppendEnvironmentVariable(Action):
    """Adds to an environment variable, or sets it.

    Args:
        name: name of the variable.
        value: what to add.
        prepend: put it before what is there.
        separator: what stands between, by default that of PATH.
    """

    def __init__(
        self,
        name: SomeSubstitutionsType,
        value: SomeSubstitutionsType,
        prepend: SomeBool = False,
        separator: SomeSubstitutionsType = os.pathsep,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self.__name = normalize_to_list_of_substitutions(name)
        self.__value = normalize_to_list_of_substitutions(value)
        self.__prepend = TypedValue(prepend)
        self.__separator = normalize_to_list_of_substitutions(separator)

    def execute(self, context: LaunchContext) -> None:
        """Add the value."""
        name = perform_substitutions(context, self.__name)
        parts = [perform_substitutions(context, self.__value)]
        if name in context.environment:
            place = 1 if self.__prepend.perform_bool(context) else 0
            parts.insert(place, context.environment[name])
        context.environment[name] = perform_substitutions(context, self.__separator).join(parts)


class PushEnvironment(Action):
    """Begins a scope of the environment."""

    def execute(self, context: LaunchContext) -> None:
        """Begin the scope."""
        context._push_environment()


class PopEnvironment(Action):
    """Ends a scope of the environment."""

    def execute(self, context: LaunchContext) -> None:
        """Bring back the environment of before the scope."""
        context._pop_environment()


class ResetEnvironment(Action):
    """Brings back the environment that the launch was started in."""

    def execute(self, context: LaunchContext) -> None:
        """Bring the environment back."""
        context._reset_environment()
