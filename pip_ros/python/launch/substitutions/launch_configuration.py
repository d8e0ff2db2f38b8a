"""The value of a launch argument."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.substitutions.substitution_failure import SubstitutionFailure
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class LaunchConfiguration(Substitution):
    """The value of a launch configuration.

    Args:
        variable_name: name of the configuration.
        default: value where it is not set; None: SubstitutionFailure then.
    """

    def __init__(
        self, variable_name: SomeSubstitutionsType, *, default: SomeSubstitutionsType | Any | None = None
    ) -> None:
        self.__variable_name = normalize_to_list_of_substitutions(variable_name)
        self.__default: list[Substitution] | None = None
        if default is not None:
            if not isinstance(default, (str, Substitution, Iterable)):
                default = str(default)
            self.__default = normalize_to_list_of_substitutions(default)

    @property
    def variable_name(self) -> list[Substitution]:
        """Return the name of the configuration."""
        return self.__variable_name

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        return f"LaunchConfig({' + '.join(part.describe() for part in self.__variable_name)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the value of the configuration."""
        name = perform_substitutions(context, self.__variable_name)
        if name in context.launch_configurations:
            return str(context.launch_configurations[name])
        if self.__default is None:
            raise SubstitutionFailure(f"launch configuration '{name}' does not exist")
        return perform_substitutions(context, self.__default)
