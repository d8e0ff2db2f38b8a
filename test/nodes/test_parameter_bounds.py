"""Every parameter of the nodes means what it says: what is beyond its limits is refused by name, always."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_process import NAME, NodeInProcess
from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.srv import DescribeParameters, ListParameters, SetParameters
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from sam3d_ros.nodes.body_settings import BodySettings
from sam3d_ros.nodes.demo_report import ReportParameters
from sam3d_ros.nodes.frame_player import PlayerParameters
from sam3d_ros.nodes.lifecycle import LifecycleSettings
from sam3d_ros.nodes.object_settings import Settings
from sam3d_ros.nodes.perception import HostSettings
from sam3d_ros.nodes.setting_groups import current_values, declare_groups, with_changes
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.parameters import declare, values, with_values

#: What the nodes declare, with how it is declared and changed.
ALONE = (PlayerParameters(), ReportParameters(), LifecycleSettings(), HostSettings())
GROUPS = (Settings(), BodySettings())
TYPES = Parameter.Type


class Declared:
    """The parameters of a node as ROS describes them."""

    def __init__(self, context: Context, number: int, config: Any) -> None:
        self.config, self.is_group = config, config in GROUPS
        node = Node(f"bounds_{number}", context=context)
        (declare_groups if self.is_group else declare)(node, config)
        self.values = current_values(config) if self.is_group else values(config)
        self.described = {name: node.describe_parameter(name) for name in self.values}
        node.destroy_node()

    def change(self, name: str, value: Any) -> Any:
        """The configuration with a value as ROS would give it."""
        return (with_changes if self.is_group else with_values)(self.config, {name: value})


@pytest.fixture(scope="module")
def declared() -> list[Declared]:
    context = Context()
    rclpy.init(context=context, domain_id=71)
    found = [Declared(context, number, config) for number, config in enumerate((*GROUPS, *ALONE))]
    rclpy.shutdown(context=context)
    return found


@pytest.fixture(scope="module")
def process(own_domain: None) -> Iterator[NodeInProcess]:
    made = NodeInProcess(reconstructor="geometric")
    yield made
    assert made.is_spinning()
    made.close()


def limits(descriptor: ParameterDescriptor) -> tuple[float, float] | None:
    """The range of a number."""
    found = [*descriptor.integer_range, *descriptor.floating_point_range]
    return (found[0].from_value, found[0].to_value) if found else None


@st.composite
def beyond(draw: st.DrawFn, descriptor: ParameterDescriptor) -> Any:
    """A value that a parameter must not have: beyond its limits, no number, or of another type."""
    wrong: list[st.SearchStrategy[Any]] = [st.none(), st.binary(max_size=3)]
    kind = TYPES(descriptor.type)
    if kind is not TYPES.BOOL:
        wrong.append(st.booleans())
    if kind not in (TYPES.INTEGER, TYPES.DOUBLE):
        wrong += [st.integers(-9, 9), st.floats()]
    if kind is not TYPES.STRING:
        wrong.append(st.text(max_size=5))
    elif descriptor.additional_constraints:
        wrong.append(st.text(max_size=8).filter(lambda text: text not in descriptor.additional_constraints))
    if kind is TYPES.STRING_ARRAY:
        wrong.append(st.lists(st.integers(0, 5), min_size=1, max_size=3))
    if found := limits(descriptor):
        low, high = found
        wrong += [st.lists(st.just(low), max_size=2)]
        if kind is TYPES.INTEGER:
            wrong += [st.integers(-(2**63), low - 1), st.integers(high + 1, 2**63 - 1), st.floats()]
            wrong += [st.sampled_from([low - 1, high + 1])]
        else:
            wrong += [st.sampled_from([math.nan, math.inf, -math.inf])]
            wrong += [st.sampled_from([math.nextafter(low, -math.inf), math.nextafter(high, math.inf)])]
            wrong += [st.floats(max_value=low, exclude_max=True), st.floats(min_value=high, exclude_min=True)]
            wrong += [st.integers(-9, 9)]
    return draw(st.one_of(wrong))


def test_every_number_has_limits_and_every_parameter_a_description(declared: list[Declared]) -> None:
    for one in declared:
        for name, descriptor in one.described.items():
            assert descriptor.description, f"{name} is not described"
            if TYPES(descriptor.type) in (TYPES.INTEGER, TYPES.DOUBLE):
                low, high = limits(descriptor)
                assert -math.inf < low <= one.values[name] <= high < math.inf, name


def test_both_ends_of_every_range_are_allowed(declared: list[Declared]) -> None:
    for one in declared:
        for name, descriptor in one.described.items():
            for end in limits(descriptor) or ():
                one.change(name, end)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_beyond_is_refused_by_name(declared: list[Declared], data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(declared))
    name = data.draw(st.sampled_from(sorted(one.values)))
    value = data.draw(beyond(one.described[name]))
    with pytest.raises(FaultError) as refusal:
        one.change(name, value)
    assert refusal.value.fault is Fault.INVALID_PARAMETER
    assert str(refusal.value).startswith(f"parameter {name} is ")
    assert ": give " in str(refusal.value)


def test_a_running_node_refuses_what_is_beyond_and_lives(
    process: NodeInProcess, declared: list[Declared], call: Any, wait_for: Any
) -> None:
    assert wait_for(lambda: process.node.state == "active")
    asked: list[Parameter] = []
    for name, descriptor in declared[0].described.items():
        if found := limits(descriptor):
            low, high = found
            asked += [
                Parameter(name, value=math.nan),
                Parameter(name, value=math.inf),
                Parameter(name, value="x"),
            ]
            asked += [Parameter(name, value=low - 1), Parameter(name, value=high + 1)]
    request = SetParameters.Request(parameters=[one.to_parameter_msg() for one in asked])
    answers = call(SetParameters, f"{NAME}/set_parameters", request).results
    assert len(answers) == len(asked) > 200
    for one, answer in zip(asked, answers, strict=True):
        assert not answer.successful
        assert answer.reason.startswith(f"invalid_parameter: parameter {one.name} is {one.value!r}: give ")
    assert process.faults()["invalid_parameter"] == len(asked)
    assert process.node.state == "active"


def test_a_running_node_says_which_parameters_cannot_change_and_takes_the_others(
    process: NodeInProcess, declared: list[Declared], call: Any, wait_for: Any
) -> None:
    def put(name: str, value: Any) -> Any:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return call(SetParameters, f"{NAME}/set_parameters", request).results[0]

    assert wait_for(lambda: process.node.state == "active")
    for name, value in (("assembler.queue_size", 5), ("rectified", True), ("geometric.seed", 3)):
        answer = put(name, value)
        assert not answer.successful
        assert f"parameter {name} cannot change while the node is active" in answer.reason
        assert process.node.get_parameter(name).value != value
        # What does not change may be said again, as a file of parameters does.
        assert put(name, declared[0].values[name]).successful
    for name, value in (("verdict.max_rays", 500), ("max_failures", 7)):
        assert put(name, value).successful
        assert process.node.get_parameter(name).value == value
    assert process.node._pipeline.config.verdict.max_rays == 500
    assert process.node.boundary.limit == 7
    assert not put("autostart", False).successful
    # Whoever may ask for a file must not move the limit of where it may be.
    assert not put("scene_folder", "/").successful
    assert not put("no_such_parameter", 1).successful


def test_ros_describes_what_is_declared(process: NodeInProcess, declared: list[Declared], call: Any) -> None:
    names = call(ListParameters, f"{NAME}/list_parameters", ListParameters.Request()).result.names
    assert set(declared[0].values) <= set(names)
    request = DescribeParameters.Request(names=["verdict.max_rays", "assembler.wait"])
    rays, wait = call(DescribeParameters, f"{NAME}/describe_parameters", request).descriptors
    assert limits(rays) == (500, 100_000) and "silhouette" in rays.description
    assert limits(wait) == (0.0, 60.0) and "seconds" in wait.description
