"""A remapping of all nodes."""

from __future__ import annotations

from typing import Any

from launch import Action, LaunchContext, SomeSubstitutionsType
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch_ros.actions.launch_configurations import GLOBAL_REMAPPINGS


class SetRemap(Action):
    """Remaps a name of the nodes that follow in the scope."""

    def __init__(self, src: SomeSubstitutionsType, dst: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.__src = normalize_to_list_of_substitutions(src)
        self.__dst = normalize_to_list_of_substitutions(dst)

    @property
    def src(self) -> Any:
        """Return the name that is remapped."""
        return self.__src

    @property
    def dst(self) -> Any:
        """Return the name that it becomes."""
        return self.__dst

    def execute(self, context: LaunchContext) -> None:
        """Add the remapping to those of the scope."""
        configurations = context.launch_configurations
        configurations[GLOBAL_REMAPPINGS] = [
            *configurations.get(GLOBAL_REMAPPINGS, []),
            (perform_substitutions(context, self.__src), perform_substitutions(context, self.__dst)),
        ]
