"""Questions about the class of an object."""

import inspect


def is_a(obj: object, entity_type: type) -> bool:
    """Return whether the object is an instance of the type."""
    return isinstance(obj, entity_type)


def is_a_subclass(obj: object, entity_type: type) -> bool:
    """Return whether the object is a class derived from the type, or an instance of one."""
    return issubclass(obj, entity_type) if inspect.isclass(obj) else isinstance(obj, entity_type)
