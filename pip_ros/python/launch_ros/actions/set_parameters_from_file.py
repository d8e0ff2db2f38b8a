"""Parameters of all nodes from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch import Action, LaunchContext, SomeSubstitutionsType
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch_ros.actions.launch_configurations import GLOBAL_PARAMETERS


class SetParametersFromFile(Action):
    """Gives a parameter file to the nodes that follow in the scope; their own parameters win."""

    def __init__(self, filename: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.__filename = normalize_to_list_of_substitutions(filename)

    def execute(self, context: LaunchContext) -> None:
        """Add the file to those of the scope."""
        configurations = context.launch_configurations
        configurations[GLOBAL_PARAMETERS] = [
            *configurations.get(GLOBAL_PARAMETERS, []),
            Path(perform_substitutions(context, self.__filename)),
        ]
