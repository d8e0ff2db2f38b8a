"""From what a user writes to substitutions."""

import pathlib
from collections.abc import Iterable

from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution


def normalize_to_list_of_substitutions(subs: SomeSubstitutionsType) -> list[Substitution]:
    """Return texts, paths, substitutions, or an iterable of them, as a list of substitutions."""
    from launch.substitutions.text_substitution import TextSubstitution

    if isinstance(subs, Substitution):
        return [subs]
    if isinstance(subs, (str, pathlib.Path)):
        return [TextSubstitution(text=str(subs))]
    if isinstance(subs, Iterable):
        return [part for item in subs for part in normalize_to_list_of_substitutions(item)]
    raise TypeError(f"expected a str, a path, a Substitution, or an iterable of them, got {subs!r}")
