"""Parameters of nodes that are known only while the launch runs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import yaml
from launch import LaunchContext, SomeSubstitutionsType
from launch.frontend.parse_substitution import parse_substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch.utilities.type_utils import SomeBool, TypedValue
from launch_ros.utilities.parameter_values import (
    EvaluatedParameterValue,
    NormalizedValue,
    evaluate_value,
    normalize_value,
)


class ParameterValue:
    """A value, with the type that it must have.

    Args:
        value: a bool, number, text, substitution, or a sequence.
        value_type: bool, int, float, str, or a ``List[...]`` of one; None: as YAML reads the text.
    """

    def __init__(self, value: Any, *, value_type: Any = None) -> None:
        self.__value: NormalizedValue = normalize_value(value, yaml_text=value_type is not None)
        self.__value_type = value_type

    @property
    def value_type(self) -> Any:
        """Return the type; None: as YAML reads the text."""
        return self.__value_type

    def evaluate(self, context: LaunchContext) -> EvaluatedParameterValue:
        """Return the value; TypeError or ValueError where it has another type."""
        return evaluate_value(context, self.__value, self.__value_type)


class Parameter:
    """One parameter with its name and value."""

    def __init__(self, name: SomeSubstitutionsType, value: Any, *, value_type: Any = None) -> None:
        self.__name = normalize_to_list_of_substitutions(name)
        self.__value = ParameterValue(value, value_type=value_type)

    def evaluate(self, context: LaunchContext) -> tuple[str, EvaluatedParameterValue]:
        """Return name and value."""
        return perform_substitutions(context, self.__name), self.__value.evaluate(context)


class ParameterFile:
    """A YAML file with parameters of nodes.

    Args:
        param_file: path of the file.
        allow_substs: perform the substitutions in the file, e.g. ``$(var name)``.
    """

    def __init__(
        self, param_file: SomeSubstitutionsType | os.PathLike[str], *, allow_substs: SomeBool = False
    ) -> None:
        if isinstance(param_file, os.PathLike):
            param_file = os.fspath(param_file)
        self.__param_file = normalize_to_list_of_substitutions(param_file)
        self.__allow_substs = TypedValue(allow_substs)
        self.__expanded: Path | None = None

    @property
    def param_file(self) -> Path | list[Any]:
        """Return the path: that of the file with its substitutions performed, once it is evaluated."""
        return self.__param_file if self.__expanded is None else self.__expanded

    def evaluate(self, context: LaunchContext) -> Path:
        """Return the path of the file that a node can read; ``cleanup`` removes it if it was made for it."""
        path = Path(perform_substitutions(context, self.__param_file))
        if not self.__allow_substs.perform_bool(context) or not path.is_file():
            return path
        text = perform_substitutions(context, parse_substitution(path.read_text()))
        yaml.safe_load(text)  # a broken file must fail here, where its name is known
        with tempfile.NamedTemporaryFile("w", prefix="launch_params_", suffix=".yaml", delete=False) as file:
            file.write(text)
        self.__expanded = Path(file.name)
        return self.__expanded

    def cleanup(self) -> None:
        """Remove the file that was made."""
        if self.__expanded is not None:
            self.__expanded.unlink(missing_ok=True)
            self.__expanded = None
