"""Class names as segmenters and users write them."""

from __future__ import annotations

from collections.abc import Collection


def is_one_of(name: str, names: Collection[str]) -> bool:
    """Whether a class name is one of some; capitals, and blanks around it, are no difference: Person is a person."""
    plain = _plain(name)
    return any(plain == _plain(other) for other in names)


def _plain(name: str) -> str:
    return name.strip().casefold()
