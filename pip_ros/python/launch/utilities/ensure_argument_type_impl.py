"""Guard of public signatures."""

from collections.abc import Iterable


def ensure_argument_type(
    argument: object, types: type | Iterable[type], argument_name: str, caller: str | None = None
) -> None:
    """Raise TypeError, naming the argument, unless it is of one of the types."""
    accepted = (types,) if isinstance(types, type) else tuple(types)
    if not isinstance(argument, accepted):
        names = " or ".join(accepted_type.__name__ for accepted_type in accepted)
        owner = f" of '{caller}'" if caller else ""
        raise TypeError(f"'{argument_name}'{owner} is {argument!r}, expected {names}")
