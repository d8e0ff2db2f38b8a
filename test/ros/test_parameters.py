"""Dataclasses as parameters of a real node."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

import pytest
import rclpy
from rclpy.context import Context
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from sam3d_ros.perception.tracking.tracker import TrackerConfig
from sam3d_ros.ros import parameters
from sam3d_ros.ros.frame_assembler import AssemblerConfig
from sam3d_ros.ros.frame_builder import FrameBuilderConfig
from sam3d_ros.ros.parameters import parameter


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    """What is inside.

    Attributes:
        depth: how deep it is, metres,
            over two lines.
        left, right: both sides.

    Raises:
        ValueError: it is too deep.
    """

    depth: float = 1.5
    left: int = 1
    right: int = 2

    def __post_init__(self) -> None:
        if self.depth > 100:
            raise ValueError(f"depth is {self.depth}: at most 100 m")


@dataclass(frozen=True)
class Config:
    """A configuration with everything that a parameter may be."""

    rate: float = parameter(10.0, "Frames a second, Hz.", minimum=0.1, maximum=100.0)
    count: int = parameter(5, "How many.", minimum=1)
    name: str = parameter("a", "Which.", choices=("a", "b"))
    enabled: bool = parameter(True, "Whether.", read_only=True)
    color: Color = Color.RED
    labels: frozenset[str] = frozenset({"person", "cat"})
    weights: tuple[float, ...] = (1.0, 2.0)
    inner: Inner = field(default_factory=Inner)


@pytest.fixture
def make_node() -> Iterator[object]:
    context = Context()
    rclpy.init(context=context, domain_id=73)
    nodes: list[Node] = []

    def make(**overrides: object) -> Node:
        given = [Parameter(name.replace("__", "."), value=value) for name, value in overrides.items()]
        nodes.append(Node("parameters_test", context=context, parameter_overrides=given))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


def test_defaults_are_declared_and_read_back(make_node):
    node = make_node()
    assert parameters.declare(node, Config()) == Config()
    assert node.get_parameter("inner.depth").value == 1.5
    assert node.get_parameter("labels").value == ["cat", "person"]
    assert node.get_parameter("color").value == "red"


def test_overrides_arrive_with_their_types(make_node):
    node = make_node(
        x__rate=20.0,
        x__count=7,
        x__name="b",
        x__color="blue",
        x__labels=["dog"],
        x__inner__depth=3.0,
        x__weights=[0.5],
    )
    config = parameters.declare(node, Config(), "x.")
    assert config == Config(
        rate=20.0,
        count=7,
        name="b",
        color=Color.BLUE,
        labels=frozenset({"dog"}),
        weights=(0.5,),
        inner=Inner(depth=3.0),
    )


def test_descriptors_tell_description_range_and_choices(make_node):
    node = make_node()
    parameters.declare(node, Config())
    rate = node.describe_parameter("rate")
    assert rate.description == "Frames a second, Hz."
    assert (rate.floating_point_range[0].from_value, rate.floating_point_range[0].to_value) == (0.1, 100.0)
    assert node.describe_parameter("count").integer_range[0].from_value == 1
    assert node.describe_parameter("name").additional_constraints == "One of: a, b."
    assert node.describe_parameter("color").additional_constraints == "One of: red, blue."
    assert node.describe_parameter("enabled").read_only
    # Without metadata, the docstring of the class describes the field.
    assert node.describe_parameter("inner.depth").description == "how deep it is, metres, over two lines."
    assert node.describe_parameter("inner.right").description == "both sides."


@pytest.mark.parametrize(
    ("overrides", "error", "reason"),
    [
        ({"rate": 0.0}, InvalidParameterValueException, "rate"),
        ({"count": 0}, InvalidParameterValueException, "count"),
        ({"count": "many"}, InvalidParameterTypeException, "count"),
        ({"name": "c"}, ValueError, "parameter name is 'c': use one of a, b"),
        ({"color": "green"}, ValueError, "parameter color is 'green': use one of red, blue"),
        ({"inner__depth": 101.0}, ValueError, "depth is 101.0: at most 100 m"),
    ],
)
def test_bad_values_are_refused_with_the_name(make_node, overrides, error, reason):
    with pytest.raises(error, match=reason):
        parameters.declare(make_node(**overrides), Config())


def test_values_may_change_while_the_node_runs(make_node):
    node = make_node()
    config = parameters.declare(node, Config())
    assert node.set_parameters([Parameter("rate", value=50.0)])[0].successful
    assert not node.set_parameters([Parameter("rate", value=500.0)])[0].successful
    assert not node.set_parameters([Parameter("enabled", value=False)])[0].successful
    assert parameters.read(node, Config()).rate == 50.0
    changed = parameters.with_values(config, {"inner.left": 9, "other.name": 1, "color": "blue"})
    assert changed.inner.left == 9 and changed.color is Color.BLUE and changed.rate == 10.0
    with pytest.raises(ValueError, match="parameter name"):
        parameters.with_values(config, {"name": "z"})


def test_the_configurations_of_the_package_are_documented():
    for config in (AssemblerConfig(), FrameBuilderConfig(), TrackerConfig()):
        for name, text in parameters.descriptions(config, "x.").items():
            assert name.startswith("x.") and len(text) > 10, (
                f"{type(config).__name__}: {name} has no description"
            )


@pytest.mark.parametrize("margin", ["", "    ", "            "])
def test_a_docstring_is_read_at_any_indentation(margin, monkeypatch):
    """Python 3.13 strips the margin when it compiles; up to 3.12 it is that of the class."""
    monkeypatch.setattr(Inner, "__doc__", textwrap.indent(inspect.cleandoc(Inner.__doc__), margin))
    assert parameters.descriptions(Inner()) == {
        "depth": "how deep it is, metres, over two lines.",
        "left": "both sides.",
        "right": "both sides.",
    }


def test_a_type_that_is_no_parameter_is_refused(make_node):
    @dataclass(frozen=True)
    class Odd:
        table: dict[str, int] = field(default_factory=dict)

    with pytest.raises(TypeError, match="parameter table has type"):
        parameters.declare(make_node(), Odd())
    with pytest.raises(TypeError, match="instance of a dataclass"):
        parameters.names(3)
