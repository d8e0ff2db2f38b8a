"""Substitutions written as text, e.g. in parameter files."""

from launch.frontend.parse_substitution import parse_substitution

__all__ = ["parse_substitution"]
