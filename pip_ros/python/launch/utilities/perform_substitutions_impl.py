"""From substitutions to the text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from launch.substitution import Substitution

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


def perform_substitutions(context: LaunchContext, subs: Iterable[Substitution]) -> str:
    """Return the joined texts of the substitutions."""
    return "".join(context.perform_substitution(sub) for sub in subs)
