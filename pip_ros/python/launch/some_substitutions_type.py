"""What is accepted wherever a substitution can be written."""

import pathlib
from collections.abc import Iterable
from typing import Union

from launch.substitution import Substitution

SomeSubstitutionsType = Union[str, pathlib.Path, Substitution, Iterable[str | pathlib.Path | Substitution]]

SomeSubstitutionsType_types_tuple = (str, pathlib.Path, Substitution, Iterable)
