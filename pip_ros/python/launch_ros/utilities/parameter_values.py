"""From what a launch file says about a parameter to the value that the node gets."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

import yaml
from launch import LaunchContext, SomeSubstitutionsType, Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

Scalar = bool | int | float | str
EvaluatedParameterValue = Scalar | list[bool] | list[int] | list[float] | list[str]


@dataclass(frozen=True)
class Text:
    """A text made of substitutions.

    Attributes:
        parts: the substitutions.
        yaml_typed: YAML tells the type of the value from the text; else it is a string.
    """

    parts: tuple[Substitution, ...]
    yaml_typed: bool


NormalizedValue = bool | int | float | Text | list[bool | int | float | Text]


def normalize_value(value: Any, *, yaml_text: bool = False) -> NormalizedValue:
    """Return a value as it will be evaluated.

    Args:
        value: bool, number, str (stays a string), substitution (typed by YAML), or a sequence. A sequence of
            substitutions, with or without strings, is one text; one of other things is an array.
        yaml_text: YAML tells the type from a plain str, too.

    Raises:
        TypeError: the value is something else.
        NotImplementedError: it is bytes.
    """
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (str, pathlib.Path)):
        return Text(tuple(normalize_to_list_of_substitutions(value)), yaml_typed=yaml_text)
    if isinstance(value, Substitution):
        return Text((value,), yaml_typed=True)
    if isinstance(value, (bytes, bytearray)):
        raise NotImplementedError("parameters of bytes are not supported here")
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise TypeError(
            f"expected a parameter value (bool, number, str, substitution, sequence), got {value!r}"
        )
    items = list(value)
    if any(isinstance(item, Substitution) for item in items) and all(
        isinstance(item, (str, Substitution)) for item in items
    ):
        return Text(tuple(normalize_to_list_of_substitutions(items)), yaml_typed=True)
    return _normalize_array(items)


def _normalize_array(items: Sequence[Any]) -> list[bool | int | float | Text]:
    if all(isinstance(item, bool) for item in items):
        return list(items)
    if not any(isinstance(item, bool) for item in items):
        if all(isinstance(item, int) for item in items):
            return list(items)
        if all(isinstance(item, (int, float)) for item in items):
            return [float(item) for item in items]
    # What is left can only be an array of strings, each of which may be a list of substitutions.
    return [
        Text(
            tuple(
                normalize_to_list_of_substitutions(
                    str(item) if isinstance(item, (bool, int, float)) else item
                )
            ),
            yaml_typed=False,
        )
        for item in items
    ]


def evaluate_value(
    context: LaunchContext, value: NormalizedValue, value_type: Any = None
) -> EvaluatedParameterValue:
    """Return the value that the node gets.

    Args:
        context: where substitutions are performed.
        value: from ``normalize_value``.
        value_type: bool, int, float, str or a list of one of them; None: any.

    Raises:
        ValueError: the value is not of the type.
        TypeError: the text is YAML, but no parameter value.
    """
    if isinstance(value, list):
        evaluated: Any = [
            perform_substitutions(context, item.parts) if isinstance(item, Text) else item for item in value
        ]
    elif isinstance(value, Text):
        text = perform_substitutions(context, value.parts)
        evaluated = text if value_type is str or not value.yaml_typed else _from_yaml(text, value_type)
    else:
        evaluated = value
    return evaluated if value_type is None else _checked(evaluated, value_type)


def _from_yaml(text: str, value_type: Any) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"the parameter value '{text}' is not valid YAML: {error}") from error
    scalars = value if isinstance(value, list) else [value]
    if value_type is None and not all(isinstance(scalar, (bool, int, float, str)) for scalar in scalars):
        raise TypeError(
            f"Allowed value types are bool, int, float, str and sequences of them. Got {value!r} from '{text}'. "
            "If the parameter is meant to be a string, try wrapping it in "
            "launch_ros.parameter_descriptions.ParameterValue(value, value_type=str)"
        )
    return value


def _checked(value: Any, value_type: Any) -> EvaluatedParameterValue:
    if get_origin(value_type) is list:
        if not isinstance(value, list):
            raise ValueError(f"expected a parameter value of type {value_type}, got {value!r}")
        (item_type,) = get_args(value_type)
        return [_checked(item, item_type) for item in value]  # type: ignore[return-value]
    if value_type is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if value_type is str and not isinstance(value, str):
        return str(value)
    if value_type not in (bool, int, float, str):
        raise TypeError(f"expected bool, int, float, str or a List of one as value_type, got {value_type!r}")
    if type(value) is not value_type:
        raise ValueError(f"expected a parameter value of type {value_type.__name__}, got {value!r}")
    return value


NormalizedParameters = list[tuple[list[Substitution], Any]]


def normalize_parameter_dict(
    parameters: Mapping[SomeSubstitutionsType, Any], prefix: Sequence[Substitution] = ()
) -> NormalizedParameters:
    """Return (name, value) pairs; a mapping within the mapping contributes ``outer.inner`` names."""
    from launch_ros.parameter_descriptions import ParameterValue

    normalized: NormalizedParameters = []
    for key, value in parameters.items():
        name = [*prefix, *normalize_to_list_of_substitutions(key)]
        if isinstance(value, Mapping):
            separator = normalize_to_list_of_substitutions(".")
            normalized += normalize_parameter_dict(value, [*name, *separator])
        elif isinstance(value, ParameterValue):
            normalized.append((name, value))
        else:
            normalized.append((name, normalize_value(value)))
    return normalized


def evaluate_parameter_dict(
    context: LaunchContext, parameters: NormalizedParameters
) -> dict[str, EvaluatedParameterValue]:
    """Return the values that the node gets, by name."""
    from launch_ros.parameter_descriptions import ParameterValue

    evaluated: dict[str, EvaluatedParameterValue] = {}
    for name, value in parameters:
        text = perform_substitutions(context, name)
        if isinstance(value, ParameterValue):
            evaluated[text] = value.evaluate(context)
        else:
            evaluated[text] = evaluate_value(context, value)
    return evaluated
