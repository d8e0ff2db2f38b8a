"""A parameter of all nodes."""

from __future__ import annotations

from typing import Any

from launch import Action, LaunchContext, SomeSubstitutionsType
from launch_ros.actions.launch_configurations import GLOBAL_PARAMETERS
from launch_ros.parameter_descriptions import Parameter, ParameterValue


class SetParameter(Action):
    """Sets a parameter of the nodes that follow in the scope; their own parameters win."""

    def __init__(self, name: SomeSubstitutionsType, value: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(value, ParameterValue):
            raise NotImplementedError("SetParameter does not support a ParameterValue here: pass the value")
        self.__parameter = Parameter(name, value)

    def execute(self, context: LaunchContext) -> None:
        """Add the parameter to those of the scope."""
        configurations = context.launch_configurations
        # A new list: the scope around keeps its own.
        configurations[GLOBAL_PARAMETERS] = [
            *configurations.get(GLOBAL_PARAMETERS, []),
            self.__parameter.evaluate(context),
        ]
