"""A text that is known only while the launch runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class Substitution:
    """Base of all substitutions: a recipe that becomes a text when it is performed."""

    def describe(self) -> str:
        """Return the substitution as it is shown to a user, e.g. by ``ros2 launch --show-args``."""
        return f"{type(self).__name__}()"

    def perform(self, context: LaunchContext) -> str:
        """Return the text of the substitution in the given context."""
        raise NotImplementedError(f"{type(self).__name__} does not implement perform()")


class SubstitutionFailure(RuntimeError):
    """A substitution could not be performed."""
