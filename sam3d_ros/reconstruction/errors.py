"""Why a reconstructor cannot work; each message is one line with the remedy."""

from __future__ import annotations


class MissingWeightsError(ValueError):
    """The weights, or the library that runs them, are missing or damaged."""


class FullMemoryError(MemoryError):
    """Not even one object fits into the memory of the device."""
