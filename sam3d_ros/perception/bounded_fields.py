"""Numbers of a configuration that know their range: checked where they are set, shown where they are declared."""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any


def bounded(default: Any, minimum: float | None = None, maximum: float | None = None) -> Any:
    """A dataclass field for a number with its range, both ends allowed; None leaves an end open."""
    return field(default=default, metadata={"minimum": minimum, "maximum": maximum})


def check_bounds(config: Any) -> None:
    """Check every bounded field of a dataclass; to be called from its `__post_init__`.

    Raises:
        ValueError: a number is NaN or out of its range.
    """
    for item in fields(config):
        low, high = item.metadata.get("minimum"), item.metadata.get("maximum")
        if low is None and high is None:
            continue
        value = getattr(config, item.name)
        # Comparisons with NaN are false, so that it is refused, too.
        if not ((low is None or value >= low) and (high is None or value <= high)):
            limits = [f"at least {low:g}"] if low is not None else []
            limits += [f"at most {high:g}"] if high is not None else []
            raise ValueError(f"{item.name} is {value}: give {' and '.join(limits)}")
