"""An argument of a launch file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class DeclareLaunchArgument(Action):
    """Declares an argument, whose value becomes the launch configuration of the same name.

    Args:
        name: name of the argument.
        default_value: value where none is given; None: the argument is required.
        description: what it is for, shown by ``ros2 launch --show-args``.
        choices: all valid values; None: every value is.

    Raises:
        ValueError: there are no choices, or the default is none of them.
    """

    def __init__(
        self,
        name: str,
        *,
        default_value: SomeSubstitutionsType | None = None,
        description: str | None = None,
        choices: Iterable[str] | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self.__name = name
        self.__choices = None if choices is None else list(choices)
        if self.__choices is not None:
            if not self.__choices:
                raise ValueError(f"argument '{name}' has an empty list of choices")
            if isinstance(default_value, str) and default_value not in self.__choices:
                raise ValueError(
                    f"Provided default_value \"{default_value}\" of '{name}' is not in provided choices "
                    f'"{self.__choices}".'
                )
        self.__default_value: list[Substitution] | None = None
        if default_value is not None:
            self.__default_value = normalize_to_list_of_substitutions(default_value)
        self.__description = "no description given" if description is None else description
        if self.__choices is not None:
            self.__description += f" Valid choices are: {self.__choices}"
        self._conditionally_included = False

    @property
    def name(self) -> str:
        """Return the name of the argument."""
        return self.__name

    @property
    def default_value(self) -> list[Substitution] | None:
        """Return the default; None: the argument is required."""
        return self.__default_value

    @property
    def description(self) -> str:
        """Return what the argument is for."""
        return self.__description

    @property
    def choices(self) -> list[str] | None:
        """Return the valid values; None: every value is."""
        return self.__choices

    def describe(self) -> str:
        """Return the action as it is shown to a user."""
        return f"DeclareLaunchArgument({self.__name!r})"

    def execute(self, context: LaunchContext) -> None:
        """Set the launch configuration to the default unless it is set; check the value."""
        configurations = context.launch_configurations
        if self.__name not in configurations:
            if self.__default_value is None:
                raise RuntimeError(
                    f'Required launch argument "{self.__name}" '
                    f'(description: "{self.__description}") was not provided'
                )
            configurations[self.__name] = perform_substitutions(context, self.__default_value)
        value = configurations[self.__name]
        if self.__choices is not None and value not in self.__choices:
            raise RuntimeError(
                f'Argument "{self.__name}" provided value "{value}" is not valid. '
                f"Valid options are: {self.__choices}"
            )
