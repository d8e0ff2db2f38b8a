"""The value of an environment variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.substitutions.substitution_failure import SubstitutionFailure
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class EnvironmentVariable(Substitution):
    """The value of an environment variable.

    Args:
        name: name of the variable.
        default_value: value where it is not set; None: SubstitutionFailure then.
    """

    def __init__(
        self, name: SomeSubstitutionsType, *, default_value: SomeSubstitutionsType | None = None
    ) -> None:
        self.__name = normalize_to_list_of_substitutions(name)
        self.__default_value = None
        if default_value is not None:
            self.__default_value = normalize_to_list_of_substitutions(default_value)

    def describe(self) -> str:
        """Return the substitution as it is shown to a user."""
        return f"EnvVar({' + '.join(part.describe() for part in self.__name)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the value of the variable in the environment of the current scope."""
        name = perform_substitutions(context, self.__name)
        if name in context.environment:
            return context.environment[name]
        if self.__default_value is None:
            raise SubstitutionFailure(f"environment variable '{name}' does not exist")
        return perform_substitutions(context, self.__default_value)
