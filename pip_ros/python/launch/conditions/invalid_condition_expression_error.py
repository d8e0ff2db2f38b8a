"""The fault of a condition."""


class InvalidConditionExpressionError(Exception):
    """The expression of a condition is neither true nor false."""
