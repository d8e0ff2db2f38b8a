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
from rclpy.node import Node
from rclpy.parameter import Parameter

from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.perception.tracking.tracker import TrackerConfig
from sam3d_ros.ros import parameters
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.frame_assembler import AssemblerConfig
from sam3d_ros.ros.frame_builder import FrameBuilderConfig


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner(Settings):
    """What is inside.

    Attributes:
        depth: how deep it is, metres,
            over two lines.
        left, right: both sides.

    Raises:
        ValueError: it is too deep.
    """

    depth: float = parameter(1.5, minimum=0.0, maximum=1000.0)
    left: int = parameter(1, minimum=-9, maximum=9)
    right: int = parameter(2, minimum=-9, maximum=9)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth > 100:
            raise ValueError(f"depth is {self.depth}: at most 100 m")


@dataclass(frozen=True)
class Config(Settings):
    """A configuration with everything that a parameter may be."""

    rate: float = parameter(10.0, "Frames a second, Hz.", minimum=0.1, maximum=100.0)
    count: int = parameter(5, "How many.", minimum=1, maximum=10)
    name: str = parameter("a", "Which.", choices=("a", "b"))
    enabled: bool = parameter(True, "Whether.", read_only=True)
    color: Color = Color.RED
    labels: frozenset[str] = frozenset({"person", "cat"})
    weights: tuple[float, ...] = parameter((1.0, 2.0), "How much.", minimum=0.0, maximum=2.0)
    ids: tuple[int, ...] = parameter((), "Which ones.", minimum=0, maximum=9)
    kinds: tuple[str, ...] = parameter(("x",), "Of what.", choices=("x", "y"))
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
    assert node.get_parameter("ids").value == [] and parameters.declare(make_node(ids=[3]), Config()).ids == (
        3,
    )
    assert node.set_parameters([Parameter("ids", value=[1, 2])])[0].successful
    assert parameters.read(node, Config()).ids == (1, 2)


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
    count = node.describe_parameter("count").integer_range[0]
    assert (count.from_value, count.to_value) == (1, 10)
    assert node.describe_parameter("weights").additional_constraints == "From 0 to 2."
    assert node.describe_parameter("kinds").additional_constraints == "Of: x, y."
    assert node.describe_parameter("name").additional_constraints == "One of: a, b."
    assert node.describe_parameter("color").additional_constraints == "One of: red, blue."
    assert node.describe_parameter("enabled").read_only
    # Without metadata, the docstring of the class describes the field.
    assert node.describe_parameter("inner.depth").description == "how deep it is, metres, over two lines."
    assert node.describe_parameter("inner.right").description == "both sides."


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"rate": 0.0}, "parameter rate is 0.0: give a number from 0.1 to 100"),
        ({"rate": float("nan")}, "parameter rate is nan: give a number from 0.1 to 100"),
        ({"rate": float("inf")}, "parameter rate is inf: give a number from 0.1 to 100"),
        ({"rate": 5}, "parameter rate is 5: give a number from 0.1 to 100, with a decimal point"),
        ({"rate": True}, "parameter rate is True: give a number"),
        ({"count": 0}, "parameter count is 0: give a whole number from 1 to 10"),
        ({"count": 11}, "parameter count is 11: give a whole number from 1 to 10"),
        ({"count": 5.0}, "parameter count is 5.0: give a whole number"),
        ({"count": "many"}, "parameter count is 'many': give a whole number from 1 to 10"),
        ({"name": "c"}, "parameter name is 'c': give one of a, b"),
        ({"name": 3}, "parameter name is 3: give one of a, b"),
        ({"enabled": 1}, "parameter enabled is 1: give true or false"),
        ({"color": "green"}, "parameter color is 'green': give one of red, blue"),
        ({"labels": "dog"}, "parameter labels is 'dog': give a list, each a text"),
        (
            {"weights": [1.0, float("nan")]},
            r"parameter weights is \[1.0, nan\]: give a list, each a number from 0 to 2",
        ),
        ({"weights": [3.0]}, r"parameter weights is \[3.0\]: give a list, each a number from 0 to 2"),
        ({"kinds": ["x", "z"]}, r"parameter kinds is \['x', 'z'\]: give a list, each one of x, y"),
        ({"inner__depth": 101.0}, r"parameters inner.\*: depth is 101.0: at most 100 m"),
        ({"inner__left": 10}, "parameter inner.left is 10: give a whole number from -9 to 9"),
    ],
)
def test_bad_values_are_refused_with_what_is_allowed(make_node, overrides, reason):
    with pytest.raises(FaultError, match=reason) as refusal:
        parameters.declare(make_node(**overrides), Config())
    assert refusal.value.fault is Fault.INVALID_PARAMETER


def test_values_may_change_while_the_node_runs(make_node):
    node = make_node()
    config = parameters.declare(node, Config())
    assert node.set_parameters([Parameter("rate", value=50.0)])[0].successful
    assert not node.set_parameters([Parameter("rate", value=500.0)])[0].successful
    assert not node.set_parameters([Parameter("enabled", value=False)])[0].successful
    assert parameters.read(node, Config()).rate == 50.0
    changed = parameters.with_values(config, {"inner.left": 9, "other.name": 1, "color": "blue"})
    assert changed.inner.left == 9 and changed.color is Color.BLUE and changed.rate == 10.0
    with pytest.raises(FaultError, match="parameter name is 'z': give one of a, b"):
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
        "depth": "how deep it is, metres, over two lines. From 0 to 1000.",
        "left": "both sides. From -9 to 9.",
        "right": "both sides. From -9 to 9.",
    }


def test_a_number_without_limits_is_refused_where_it_is_declared(make_node):
    for limits in ({}, {"minimum": 0.0}, {"maximum": 1.0}):
        with pytest.raises(TypeError, match="without limits"):
            parameter(0.5, "Half.", **limits)
    for low, high in ((1.0, 2.0), (0.0, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(TypeError, match="give finite ones, with the default between them"):
            parameter(0.5, "Half.", minimum=low, maximum=high)
    with pytest.raises(TypeError, match=r"Bare\.size is a number without limits"):

        class Bare(Settings):
            size: int = 3

    @dataclass(frozen=True)
    class Plain:
        sizes: tuple[float, ...] = ()

    with pytest.raises(TypeError, match=r"Plain\.sizes is a number without limits"):
        parameters.declare(make_node(), Plain())


def test_a_type_that_is_no_parameter_is_refused(make_node):
    @dataclass(frozen=True)
    class Odd:
        table: dict[str, int] = field(default_factory=dict)

    with pytest.raises(TypeError, match="parameter table has type"):
        parameters.declare(make_node(), Odd())
    with pytest.raises(TypeError, match="instance of a dataclass"):
        parameters.names(3)
