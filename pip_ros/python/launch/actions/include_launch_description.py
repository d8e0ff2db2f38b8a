"""One launch file in another."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.actions.launch_configurations import SetLaunchConfiguration
from launch.launch_description import LaunchDescription
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_source import LaunchDescriptionSource
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitutions.text_substitution import TextSubstitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

_PATH, _DIRECTORY = "current_launch_file_path", "current_launch_file_directory"


class IncludeLaunchDescription(Action):
    """Includes a launch description, in the scope around it: what it changes stays changed.

    Args:
        launch_description_source: the source, or the path of a launch file.
        launch_arguments: (name, value) pairs, set as launch configurations before.
    """

    def __init__(
        self,
        launch_description_source: LaunchDescriptionSource | SomeSubstitutionsType,
        *,
        launch_arguments: Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]] | None = None,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        if not isinstance(launch_description_source, LaunchDescriptionSource):
            launch_description_source = AnyLaunchDescriptionSource(launch_description_source)
        self.__source = launch_description_source
        self.__launch_arguments = list(launch_arguments or ())

    @property
    def launch_description_source(self) -> LaunchDescriptionSource:
        """Return the source."""
        return self.__source

    @property
    def launch_arguments(self) -> list[tuple[SomeSubstitutionsType, SomeSubstitutionsType]]:
        """Return the arguments."""
        return self.__launch_arguments

    def describe(self) -> str:
        """Return the action as it is shown to a user."""
        return f"IncludeLaunchDescription({self.__source.location})"

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the description, if it can be known before the launch runs."""
        description = self.__source.try_get_launch_description_without_context()
        return [] if description is None else [description]

    def _argument_names_without_context(self) -> set[str]:
        names = set()
        for name, _ in self.__launch_arguments:
            parts = normalize_to_list_of_substitutions(name)
            texts = [part.text for part in parts if isinstance(part, TextSubstitution)]
            if len(texts) == len(parts):
                names.add("".join(texts))
        return names

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Return the actions that set the arguments, and the description."""
        description = self.__source.get_launch_description(context)
        path = Path(self.__source.location).absolute()
        # For whatever follows, too: in Jazzy this is not taken back when the included file is done.
        context.extend_locals({_PATH: str(path), _DIRECTORY: str(path.parent)})
        self._check_required_arguments(context, description)
        settings = [SetLaunchConfiguration(name, value) for name, value in self.__launch_arguments]
        return [*settings, description]

    def _check_required_arguments(self, context: LaunchContext, description: LaunchDescription) -> None:
        given = {
            perform_substitutions(context, normalize_to_list_of_substitutions(name))
            for name, _ in self.__launch_arguments
        }
        declared = description.get_launch_arguments_with_include_launch_description_actions()
        for argument, includes in declared:
            if argument.default_value is not None or argument._conditionally_included:
                continue
            names = given.union(*(include._argument_names_without_context() for include in includes))
            if argument.name not in names:  # a launch configuration of that name is not enough
                raise RuntimeError(
                    f"Included launch description missing required argument '{argument.name}' "
                    f"(description: '{argument.description}'), given: [{', '.join(sorted(given))}]"
                )
