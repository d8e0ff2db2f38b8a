"""A node in a process of its own."""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from launch import LaunchContext, SomeSubstitutionsType, Substitution
from launch.actions import ExecuteProcess
from launch.logging import get_logger
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch_ros.actions.launch_configurations import (
    GLOBAL_PARAMETERS,
    GLOBAL_REMAPPINGS,
    NAMESPACE,
)
from launch_ros.parameter_descriptions import Parameter, ParameterFile
from launch_ros.substitutions import ExecutableInPackage
from launch_ros.utilities import make_namespace_absolute, prefix_namespace
from launch_ros.utilities.parameter_values import (
    EvaluatedParameterValue,
    NormalizedParameters,
    evaluate_parameter_dict,
    normalize_parameter_dict,
)

SomeParameters = Iterable[
    str | pathlib.Path | Substitution | ParameterFile | Parameter | Mapping[SomeSubstitutionsType, Any]
]
SomeRemapRules = Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]]

_ANY_NODE = "/**"


class Node(ExecuteProcess):
    """Executes a ROS node.

    Args:
        executable: name of the executable in the package; without a package, its path.
        package: name of the package.
        name: name of the node; default: as in its code.
        namespace: namespace of the node; a relative one continues that of PushRosNamespace.
        exec_name: name of the process in the log; default: base name of the executable.
        parameters: YAML files, and mappings from names to values; later ones win.
        remappings: (from, to) pairs.
        ros_arguments: further arguments for ROS.
        arguments: arguments for the node.
        kwargs: as of ExecuteProcess, without ``cmd`` and ``name``.
    """

    UNSPECIFIED_NODE_NAME = "<node_name_unspecified>"
    UNSPECIFIED_NODE_NAMESPACE = "<node_namespace_unspecified>"

    def __init__(
        self,
        *,
        executable: SomeSubstitutionsType,
        package: SomeSubstitutionsType | None = None,
        name: SomeSubstitutionsType | None = None,
        namespace: SomeSubstitutionsType | None = None,
        exec_name: SomeSubstitutionsType | None = None,
        parameters: SomeParameters | None = None,
        remappings: SomeRemapRules | None = None,
        ros_arguments: Iterable[SomeSubstitutionsType] | None = None,
        arguments: Iterable[SomeSubstitutionsType] | None = None,
        **kwargs: Any,
    ) -> None:
        if package is None:
            program = normalize_to_list_of_substitutions(executable)
        else:
            program = [ExecutableInPackage(package=package, executable=executable)]
        super().__init__(cmd=[program, *(arguments or ())], name=exec_name, **kwargs)
        self.__package = None if package is None else normalize_to_list_of_substitutions(package)
        self.__executable = normalize_to_list_of_substitutions(executable)
        self.__node_name = None if name is None else normalize_to_list_of_substitutions(name)
        self.__namespace = None if namespace is None else normalize_to_list_of_substitutions(namespace)
        self.__parameters = [_normalize(entry) for entry in _sequence(parameters, "parameters")]
        self.__remappings = [
            (normalize_to_list_of_substitutions(source), normalize_to_list_of_substitutions(target))
            for source, target in remappings or ()
        ]
        self.__ros_arguments = [
            normalize_to_list_of_substitutions(argument) for argument in ros_arguments or ()
        ]
        self.__expanded_name = self.UNSPECIFIED_NODE_NAME
        self.__expanded_namespace = self.UNSPECIFIED_NODE_NAMESPACE
        self.__expanded_remappings: list[tuple[str, str]] = []
        self.__files: list[Path] = []

    @property
    def node_package(self) -> list[Substitution] | None:
        """Return the package."""
        return self.__package

    @property
    def node_executable(self) -> list[Substitution]:
        """Return the executable."""
        return self.__executable

    @property
    def node_name(self) -> str:
        """Return the full name of the node, with placeholders for what is not specified."""
        if self.__expanded_namespace == "/":
            return f"/{self.__expanded_name}"
        return f"{self.__expanded_namespace}/{self.__expanded_name}"

    @property
    def expanded_node_namespace(self) -> str:
        """Return the namespace; a placeholder where none is specified."""
        return self.__expanded_namespace

    @property
    def expanded_remapping_rules(self) -> list[tuple[str, str]]:
        """Return the remappings once the node is executed."""
        return self.__expanded_remappings

    def is_node_name_fully_specified(self) -> bool:
        """Return whether name and namespace are both specified."""
        placeholders = (self.UNSPECIFIED_NODE_NAME, self.UNSPECIFIED_NODE_NAMESPACE)
        return not any(placeholder in self.node_name for placeholder in placeholders)

    def _command_line(self, context: LaunchContext) -> list[str]:
        self._expand_names(context)
        ros_arguments = [perform_substitutions(context, argument) for argument in self.__ros_arguments]
        if self.__expanded_name != self.UNSPECIFIED_NODE_NAME:
            ros_arguments += ["-r", f"__node:={self.__expanded_name}"]
        if self.__expanded_namespace != self.UNSPECIFIED_NODE_NAMESPACE:
            ros_arguments += ["-r", f"__ns:={self.__expanded_namespace}"]
        for setting in context.launch_configurations.get(GLOBAL_PARAMETERS, []):
            ros_arguments += (
                self._parameter_file(setting)
                if isinstance(setting, Path)
                # Unquoted, as in Jazzy: YAML types the text once more, so that "3" comes as a number.
                else ["-p", "{}:={}".format(*setting)]
            )
        for entry in self.__parameters:
            ros_arguments += self._parameter_arguments(context, entry)
        self.__expanded_remappings = [
            *context.launch_configurations.get(GLOBAL_REMAPPINGS, []),
            *(
                (perform_substitutions(context, source), perform_substitutions(context, target))
                for source, target in self.__remappings
            ),
        ]
        for source, target in self.__expanded_remappings:
            ros_arguments += ["-r", f"{source}:={target}"]
        return [*super()._command_line(context), "--ros-args", *ros_arguments]

    def _expand_names(self, context: LaunchContext) -> None:
        if self.__node_name is not None:
            self.__expanded_name = perform_substitutions(context, self.__node_name)
        own = None if self.__namespace is None else perform_substitutions(context, self.__namespace)
        base = context.launch_configurations.get(NAMESPACE)
        expanded = make_namespace_absolute(prefix_namespace(base, own))
        if expanded is not None:
            self.__expanded_namespace = expanded

    def _parameter_arguments(
        self, context: LaunchContext, entry: ParameterFile | Parameter | NormalizedParameters
    ) -> list[str]:
        if isinstance(entry, ParameterFile):
            path = entry.evaluate(context)
            if path == entry.param_file:  # made for this node
                self.__files.append(path)
            return self._parameter_file(path)
        if isinstance(entry, Parameter):
            return _assignment(*entry.evaluate(context))
        parameters = evaluate_parameter_dict(context, entry)
        return self._parameter_file(self._write_parameters(parameters)) if parameters else []

    def _parameter_file(self, path: Path) -> list[str]:
        if not path.is_file():
            get_logger("launch_ros").warning(f"Parameter file path is not a file: {path}")
            return []
        return ["--params-file", str(path)]

    def _write_parameters(self, parameters: Mapping[str, EvaluatedParameterValue]) -> Path:
        node = self.node_name if self.is_node_name_fully_specified() else _ANY_NODE
        with tempfile.NamedTemporaryFile("w", prefix="launch_params_", delete=False) as file:
            yaml.safe_dump({node: {"ros__parameters": dict(parameters)}}, file, default_flow_style=False)
        path = Path(file.name)
        self.__files.append(path)
        return path

    def _clean_up(self) -> None:
        for path in self.__files:
            path.unlink(missing_ok=True)
        self.__files.clear()


def _sequence(parameters: SomeParameters | None, what: str) -> list[Any]:
    if parameters is None:
        return []
    if isinstance(parameters, (str, os.PathLike, Mapping)) or not isinstance(parameters, Iterable):
        raise TypeError(f"expected a sequence of files and mappings as {what}, got {parameters!r}")
    return list(parameters)


def _normalize(entry: Any) -> ParameterFile | Parameter | NormalizedParameters:
    if isinstance(entry, (ParameterFile, Parameter)):
        return entry
    if isinstance(entry, Mapping):
        return normalize_parameter_dict(entry)
    if isinstance(entry, (str, os.PathLike, Substitution, Iterable)):
        return ParameterFile(entry)
    raise TypeError(f"expected a parameter file or a mapping, got {entry!r}")


def _assignment(name: str, value: EvaluatedParameterValue) -> list[str]:
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf")).removesuffix("...\n").strip()
    return ["-p", f"{name}:={text}"]
