"""The fault of a substitution."""

from launch.substitution import SubstitutionFailure

__all__ = ["SubstitutionFailure"]
