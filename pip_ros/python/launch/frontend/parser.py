"""From entities of launch files in XML and YAML to actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from launch.frontend.entity import Entity, InvalidFrontendLaunchFileError, entity_of_file
from launch.frontend.parse_substitution import SUBSTITUTIONS, parse_substitution
from launch.substitution import Substitution

if TYPE_CHECKING:
    from launch.launch_description import LaunchDescription
    from launch.launch_description_entity import LaunchDescriptionEntity

_Class = TypeVar("_Class", bound=type[Any])
_MakeAction = Callable[[Entity, "Parser"], "LaunchDescriptionEntity"]

#: What makes the action of a tag.
ACTIONS: dict[str, _MakeAction] = {}


class Parser:
    """Makes actions of entities; what neither knows is refused by name."""

    def parse_substitution(self, value: str) -> list[Substitution]:
        """Return a text as substitutions."""
        return parse_substitution(value)

    def parse_if_substitutions(self, value: Any) -> Any:
        """Return a text that holds substitutions as those, and everything else as it is."""
        return parse_substitution(value) if isinstance(value, str) and "$(" in value else value

    def parse_condition(self, entity: Entity) -> dict[str, Any]:
        """Return the keyword of an action for the attributes ``if`` and ``unless``."""
        from launch.conditions import IfCondition, UnlessCondition

        given = {
            name: value
            for name in ("if", "unless")
            if (value := entity.get_attr(name, data_type=None, optional=True)) is not None
        }
        if len(given) > 1:
            raise ValueError(f"'{entity.type_name}' has both 'if' and 'unless': give one of them")
        for name, value in given.items():
            substitutions = parse_substitution(str(value))
            condition = IfCondition(substitutions) if name == "if" else UnlessCondition(substitutions)
            return {"condition": condition}
        return {}

    def parse_action(self, entity: Entity) -> LaunchDescriptionEntity:
        """Return the action of an entity.

        Raises:
            NotImplementedError: there is none for its tag.
            ValueError: it has attributes or entities that the action does not know.
        """
        import launch.frontend.tags
        import launch_ros.frontend_tags

        known = {**launch.frontend.tags.TAGS, **launch_ros.frontend_tags.TAGS, **ACTIONS}
        name = entity.type_name.replace("-", "_")
        if name not in known:
            raise NotImplementedError(
                f"'{entity.type_name}' is not supported here; supported are {', '.join(sorted(known))}"
            )
        action = known[name](entity, self)
        entity.refuse_rest()
        return action

    def parse_description(self, entity: Entity) -> LaunchDescription:
        """Return the description of a root entity."""
        from launch.launch_description import LaunchDescription

        return LaunchDescription([self.parse_action(child) for child in entity.children])


def launch_description_of_file(path: str) -> LaunchDescription:
    """Return what a launch file in XML or YAML describes.

    Raises:
        InvalidFrontendLaunchFileError: it cannot be understood.
        NotImplementedError: it has something that is left out here.
    """
    try:
        return Parser().parse_description(entity_of_file(path))
    except NotImplementedError as error:
        raise NotImplementedError(f"launch file '{path}': {error}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidFrontendLaunchFileError(f"launch file '{path}': {error}") from error


def expose_action(name: str) -> Callable[[_Class], _Class]:
    """Decorate an action whose classmethod ``parse(entity, parser)`` returns its class and keyword arguments."""

    def expose(cls: _Class) -> _Class:
        def make(entity: Entity, parser: Parser) -> LaunchDescriptionEntity:
            made, keywords = cls.parse(entity, parser)
            action: LaunchDescriptionEntity = made(**keywords)
            return action

        ACTIONS[name.replace("-", "_")] = make
        return cls

    return expose


def expose_substitution(name: str) -> Callable[[_Class], _Class]:
    """Decorate a substitution whose classmethod ``parse(data)`` returns its class and keyword arguments."""

    def expose(cls: _Class) -> _Class:
        def make(*data: list[Substitution]) -> Substitution:
            made, keywords = cls.parse(data)
            substitution: Substitution = made(**keywords)
            return substitution

        SUBSTITUTIONS[name] = make
        return cls

    return expose
