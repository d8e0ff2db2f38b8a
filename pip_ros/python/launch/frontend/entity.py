"""Launch files in XML and YAML as entities: tags with attributes, and entities below them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml

_ROOT = "launch"
_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


class InvalidFrontendLaunchFileError(Exception):
    """The file is XML or YAML, but no launch file."""


class Entity:
    """A tag of a launch file.

    Args:
        type_name: the tag.
        attributes: texts in XML; in YAML bools, numbers, texts, and lists of them.
        children: the entities below, in their order.
        typed: values have the types that they were written with, as in YAML; else all are texts.
    """

    def __init__(
        self, type_name: str, attributes: Mapping[str, Any], children: Sequence[Entity], *, typed: bool
    ) -> None:
        self.type_name = type_name
        self.typed = typed
        self._attributes = dict(attributes)
        self._children = list(children)
        self._unread = {*self._attributes, *(child.type_name for child in self._children)}

    @property
    def children(self) -> list[Entity]:
        """Return the entities below."""
        self._unread -= {child.type_name for child in self._children}
        return self._children

    def get_attr(
        self, name: str, *, data_type: Any = str, optional: bool = False, can_be_str: bool = True
    ) -> Any:
        """Return an attribute, or the entities of a name below.

        Args:
            name: of the attribute.
            data_type: str, bool, int, float, ``List[Entity]``, or None: as it is.
            optional: return None where there is none.
            can_be_str: a text with substitutions stays what it is.

        Raises:
            AttributeError: there is none.
            TypeError: it is of another type.
        """
        self._unread.discard(name)
        if get_origin(data_type) is list and get_args(data_type) == (Entity,):
            found = [child for child in self._children if child.type_name == name]
            if not found and not optional:
                raise AttributeError(f"'{self.type_name}' has no '{name}' below it")
            return found or None
        if name not in self._attributes:
            if optional:
                return None
            raise AttributeError(f"attribute '{name}' of '{self.type_name}' is missing")
        value = self._attributes[name]
        if data_type is None or (can_be_str and isinstance(value, str) and "$(" in value):
            return value
        return self._as(name, value, data_type)

    def _as(self, name: str, value: Any, data_type: type) -> Any:
        read = yaml.safe_load(value) if not self.typed and data_type is not str else value
        if data_type is float and type(read) is int:
            read = float(read)
        if type(read) is not data_type:
            raise TypeError(
                f"attribute '{name}' of '{self.type_name}' is {value!r}: expected "
                f"{_NAMES.get(data_type, data_type)}"
            )
        return read

    def refuse_rest(self) -> None:
        """Raise ValueError if somebody wrote what nobody has read."""
        if self._unread:
            names = ", ".join(sorted(self._unread))
            raise ValueError(f"'{self.type_name}' does not know: {names}")


def entity_of_file(path: str) -> Entity:
    """Return the root of a launch file whose language is told by its extension.

    Raises:
        InvalidFrontendLaunchFileError: it is no launch file.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        root = _of_xml(text) if Path(path).suffix == ".xml" else _of_yaml(text)
    except (ElementTree.ParseError, yaml.YAMLError) as error:
        raise InvalidFrontendLaunchFileError(f"launch file '{path}' cannot be read: {error}") from error
    if root.type_name != _ROOT:
        raise InvalidFrontendLaunchFileError(
            f"launch file '{path}' begins with '{root.type_name}': expected '{_ROOT}'"
        )
    return root


def _of_xml(text: str) -> Entity:
    def entity(element: ElementTree.Element) -> Entity:
        return Entity(element.tag, element.attrib, [entity(below) for below in element], typed=False)

    return entity(ElementTree.fromstring(text))


def _of_yaml(text: str) -> Entity:
    content = yaml.safe_load(text)
    if not isinstance(content, dict) or len(content) != 1:
        raise yaml.YAMLError(f"expected one key, '{_ROOT}', got {type(content).__name__}")
    ((name, value),) = content.items()
    return _entity(str(name), value)


def _entity(name: str, value: Any) -> Entity:
    """Return the entity of a key: its value holds the attributes, or lists what is below."""
    if isinstance(value, list):
        return Entity(name, {}, [_listed(item) for item in value], typed=True)
    if not isinstance(value, dict):
        raise yaml.YAMLError(f"expected a mapping or a list for '{name}', got {value!r}")
    attributes: dict[str, Any] = {}
    children: list[Entity] = []
    for key, below in value.items():
        if isinstance(below, dict):
            children.append(_entity(key, below))
        elif isinstance(below, list) and any(isinstance(item, dict) for item in below):
            children += [_entity(key, item) for item in below] if key != "children" else map(_listed, below)
        else:
            attributes[key] = below
    return Entity(name, attributes, children, typed=True)


def _listed(item: Any) -> Entity:
    if not isinstance(item, dict) or len(item) != 1:
        raise yaml.YAMLError(f"expected one tag in each item of a list, got {item!r}")
    ((name, value),) = item.items()
    return _entity(str(name), value)
