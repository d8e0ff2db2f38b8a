"""What is accepted wherever a substitution can be written."""

import pathlib
from collections.abc import Iterable

from launch.substitution import Substitution

SomeSubstitutionsType = str | pathlib.Path | Substitution | Iterable[str | pathlib.Path | Substitution]

SomeSubstitutionsType_types_tuple = (str, pathlib.Path, Substitution, Iterable)
