"""Do it if a launch configuration has a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.condition import Condition
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class LaunchConfigurationEquals(Condition):
    """Holds if the launch configuration has the value; with None, if it is not set."""

    def __init__(self, launch_configuration_name: str, expected_value: SomeSubstitutionsType | None) -> None:
        self.__name = launch_configuration_name
        self.__expected = None
        if expected_value is not None:
            self.__expected = normalize_to_list_of_substitutions(expected_value)
        super().__init__(predicate=self._holds)

    def _holds(self, context: LaunchContext) -> bool:
        expected = None
        if self.__expected is not None:
            expected = perform_substitutions(context, self.__expected)
        return bool(context.launch_configurations.get(self.__name) == expected)
