"""How this implementation of launch says what it leaves out of the complete one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

_REMEDY = "use a ROS 2 installation for it"


def refuse_keywords(owner: object, keywords: Mapping[str, Any]) -> None:
    """Raise NotImplementedError that names the keyword arguments, if there are any."""
    if keywords:
        names = ", ".join(sorted(keywords))
        raise NotImplementedError(
            f"{type(owner).__name__} does not support the keyword argument(s) {names} here: {_REMEDY}"
        )


def absent_names(
    module: str, names: Iterable[str], remedies: Mapping[str, str] | None = None
) -> Callable[[str], NoReturn]:
    """Return a module ``__getattr__`` that refuses the parts of the complete module which are left out here.

    Args:
        module: full name of the module.
        names: what the complete module has and this one lacks. Using one raises NotImplementedError;
            any other name stays the AttributeError that it is.
        remedies: further names, with what to do where a ROS installation is none.
    """
    absent = {**dict.fromkeys(names, _REMEDY), **(remedies or {})}

    def refuse(name: str) -> NoReturn:
        if name in absent:
            raise NotImplementedError(f"{module}.{name} is not supported here: {absent[name]}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return refuse
