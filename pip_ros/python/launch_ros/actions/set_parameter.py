"""A parameter of all nodes."""

from __future__ import annotations

from typing import Any

from launch import Action, LaunchContext, SomeSubstitutionsType
from launch.utilities import normalize_to_list_of_substitutions
from launch_ros.actions.launch_configurations import GLOBAL_PARAMETERS
from launch_ros.utilities.parameter_values import evaluate_parameter_dict, normalize_parameter_dict


class SetParameter(Action):
    """Sets a parameter of the nodes that follow in the scope; their own parameters win.

    A text is typed by YAML when it reaches the node: "3" is a number there, even as a ParameterValue of type str.
    """

    def __init__(self, name: SomeSubstitutionsType, value: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.__parameters = normalize_parameter_dict({tuple(normalize_to_list_of_substitutions(name)): value})

    def execute(self, context: LaunchContext) -> None:
        """Add the parameter to those of the scope."""
        configurations = context.launch_configurations
        # A new list: the scope around keeps its own.
        configurations[GLOBAL_PARAMETERS] = [
            *configurations.get(GLOBAL_PARAMETERS, []),
            *evaluate_parameter_dict(context, self.__parameters).items(),
        ]
