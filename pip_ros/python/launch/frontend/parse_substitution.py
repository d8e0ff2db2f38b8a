"""From ``$(name argument ...)`` in a text to substitutions."""

from __future__ import annotations

from collections.abc import Callable

from launch.substitution import Substitution
from launch.substitutions import (
    AndSubstitution,
    Command,
    EnvironmentVariable,
    EqualsSubstitution,
    FindExecutable,
    LaunchConfiguration,
    LaunchLogDir,
    NotEqualsSubstitution,
    NotSubstitution,
    OrSubstitution,
    PythonExpression,
    TextSubstitution,
    ThisLaunchFile,
    ThisLaunchFileDir,
)

_Argument = list[Substitution]


def _environment(name: _Argument, default: _Argument | None = None) -> Substitution:
    return EnvironmentVariable(name, default_value=default)


def _launch_configuration(name: _Argument, default: _Argument | None = None) -> Substitution:
    return LaunchConfiguration(name, default=default)


def _package_share(package: _Argument) -> Substitution:
    from launch_ros.substitutions import FindPackageShare

    return FindPackageShare(package)


def _package_prefix(package: _Argument) -> Substitution:
    from launch_ros.substitutions import FindPackagePrefix

    return FindPackagePrefix(package)


SUBSTITUTIONS: dict[str, Callable[..., Substitution]] = {
    "var": _launch_configuration,
    "env": _environment,
    "eval": PythonExpression,
    "command": Command,
    "dirname": ThisLaunchFileDir,
    "filename": ThisLaunchFile,
    "find-exec": lambda name: FindExecutable(name=name),
    "find-pkg-share": _package_share,
    "find-pkg-prefix": _package_prefix,
    "log_dir": LaunchLogDir,
    "and": AndSubstitution,
    "or": OrSubstitution,
    "not": NotSubstitution,
    "equals": EqualsSubstitution,
    "not-equals": NotEqualsSubstitution,
}


def parse_substitution(string_value: str) -> list[Substitution]:
    """Return the substitutions of a text.

    A backslash before ``$`` takes its meaning away. Arguments are separated by spaces, may be quoted, and may
    contain substitutions.

    Raises:
        NotImplementedError: a substitution of an unknown name.
        ValueError: the text ends within a substitution.
    """
    parts, end = _parse_text(string_value, 0, terminators="")
    if end != len(string_value):
        raise ValueError(f"could not parse substitutions in '{string_value}' after position {end}")
    return parts


def _parse_text(text: str, position: int, terminators: str) -> tuple[_Argument, int]:
    """Parse up to one of the terminators; return the parts and the position of the terminator."""
    parts: _Argument = []
    literal = ""
    while position < len(text) and text[position] not in terminators:
        if text.startswith("$(", position):
            if literal:
                parts.append(TextSubstitution(text=literal))
                literal = ""
            substitution, position = _parse_call(text, position + 2)
            parts.append(substitution)
            continue
        if text[position] == "\\" and text[position + 1 : position + 2] in ("$", "\\", "'", '"'):
            position += 1
        literal += text[position]
        position += 1
    if literal:
        parts.append(TextSubstitution(text=literal))
    return parts, position


def _parse_call(text: str, position: int) -> tuple[Substitution, int]:
    """Parse ``name argument ...)``; return the substitution and the position after it."""
    start = position
    while position < len(text) and text[position] not in " )":
        position += 1
    name = text[start:position]
    arguments: list[_Argument] = []
    while position < len(text) and text[position] != ")":
        if text[position].isspace():
            position += 1
        elif text[position] in "'\"":
            argument, position = _parse_text(text, position + 1, terminators=text[position])
            arguments.append(argument)
            position += 1
        else:
            argument, position = _parse_text(text, position, terminators=" )")
            arguments.append(argument)
    if position >= len(text):
        raise ValueError(f"the substitution '$({text[start:]}' is not closed")
    if name not in SUBSTITUTIONS:
        known = ", ".join(sorted(SUBSTITUTIONS))
        raise NotImplementedError(f"the substitution $({name}) is not supported here; supported are {known}")
    return SUBSTITUTIONS[name](*arguments), position + 1
