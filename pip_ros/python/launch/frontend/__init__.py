"""Launch files in XML and YAML, and substitutions written as text."""

from launch.frontend.entity import Entity, InvalidFrontendLaunchFileError
from launch.frontend.parse_substitution import parse_substitution
from launch.frontend.parser import Parser, expose_action, expose_substitution

__all__ = [
    "Entity",
    "InvalidFrontendLaunchFileError",
    "Parser",
    "expose_action",
    "expose_substitution",
    "parse_substitution",
]
