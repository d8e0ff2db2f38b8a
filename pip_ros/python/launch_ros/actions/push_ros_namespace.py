"""A namespace around nodes."""

from __future__ import annotations

from typing import Any

from launch import Action, LaunchContext, SomeSubstitutionsType
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch_ros.actions.launch_configurations import NAMESPACE
from launch_ros.utilities import make_namespace_absolute, prefix_namespace


class PushROSNamespace(Action):
    """Puts the nodes that follow in the scope into a namespace, within that of the scope."""

    def __init__(self, namespace: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.__namespace = normalize_to_list_of_substitutions(namespace)

    def execute(self, context: LaunchContext) -> None:
        """Set the namespace of the scope."""
        pushed = perform_substitutions(context, self.__namespace)
        previous = context.launch_configurations.get(NAMESPACE)
        namespace = make_namespace_absolute(prefix_namespace(previous, pushed))
        if namespace is not None:
            context.launch_configurations[NAMESPACE] = namespace


#: The name of before Iron.
PushRosNamespace = PushROSNamespace
