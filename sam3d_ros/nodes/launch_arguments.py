"""From the texts that a launch file is given to topics, files and values of parameters, or to a refusal by name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

#: Names of topics as ROS allows them, in a namespace, absolute, or private to the node; and namespaces.
_NAMES = r"(?!.*__)[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*"
_TOPIC = re.compile(rf"(/|~/)?{_NAMES}")
_NAMESPACE = re.compile(rf"/?|/?{_NAMES}/?")
#: Texts that are alike by so much are one, misspelt.
_ALIKE = 0.8
#: Answers to the question whether there is a topic; each would be a valid name.
_ANSWERS = {"true", "false", "yes", "no", "on", "off", "none", "null"}
_KINDS = {bool: "true or false", int: "a whole number", str: "a text"}


def topic_name(argument: str, value: str) -> str:
    """The value of an argument that names a topic.

    Raises:
        ValueError: the value is no name of a topic.
    """
    if _TOPIC.fullmatch(value) is None or value.lower().lstrip("~/") in _ANSWERS:
        raise ValueError(
            f"{argument} is '{value}', which is no topic: expected its name, of letters, digits and _ with / between, "
            f"such as {argument}:=/camera/image_raw; leave the argument out to keep its default"
        )
    return value


def namespace(argument: str, value: str) -> str:
    """The value of an argument that names a namespace, or none.

    Raises:
        ValueError: the value is no namespace.
    """
    if _NAMESPACE.fullmatch(value) is None or value.lower().strip("/") in _ANSWERS:
        raise ValueError(
            f"{argument} is '{value}', which is no namespace: expected letters, digits and _ with / between, such as "
            f"{argument}:=robot1/front"
        )
    return value


def misspelt(given: Iterable[str], declared: Collection[str]) -> list[str]:
    """What is to be told of arguments that are nearly some that there are: launch passes over what nobody reads."""
    likely = {name: get_close_matches(name, declared, 1, _ALIKE) for name in given if name not in declared}
    return [
        f"{name} is no argument of this launch file and has no effect: is {matches[0]} meant?"
        for name, matches in likely.items()
        if matches
    ]


def existing_file(argument: str, value: str) -> Path:
    """The value of an argument that names a file; launch would only warn of one that is not there.

    Raises:
        ValueError: there is no such file.
    """
    path = Path(value)
    if not path.is_file():
        raise ValueError(f"{argument} is '{value}', which is no file: give the path of one")
    return path


def parameter_value(argument: str, value: str, kind: type) -> Any:
    """The value of an argument that sets a parameter of a kind: bool, int, str, or list (texts with commas between).

    Raises:
        ValueError: the value is of another kind.
    """
    if kind is str:
        return value
    if kind is list:
        return [item.strip() for item in value.split(",")]
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        read = None
    if type(read) is not kind:
        raise ValueError(f"{argument} is '{value}': expected {_KINDS[kind]}")
    return read
