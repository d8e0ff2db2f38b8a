"""What stands before the names of TF frames: what is given, or what the namespace says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.exceptions import InvalidNamespaceException
from rclpy.validate_namespace import validate_namespace

from sam3d_ros.nodes.common_settings import CommonSettings, NamingSettings
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.parameters import names, with_values

namespaces = st.lists(st.from_regex(r"[a-z_][a-z0-9]{0,3}", fullmatch=True), max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)


def test_without_a_namespace_there_is_no_prefix() -> None:
    assert NamingSettings().prefix_in("/") == ""


@given(namespaces)
def test_a_namespace_is_the_prefix_and_no_frame_begins_with_a_slash(namespace: str) -> None:
    try:
        validate_namespace(namespace)
    except InvalidNamespaceException:
        return
    frame = f"{NamingSettings().prefix_in(namespace)}object_7"
    assert f"/{frame}" == f"{namespace.rstrip('/')}/object_7"


@given(namespaces, st.sampled_from(["robot1/", "robot1", "left_", "a/b/", "é "]))
def test_what_is_given_is_used_as_it_is(namespace: str, prefix: str) -> None:
    assert NamingSettings(frame_prefix=prefix).prefix_in(namespace) == prefix


@given(namespaces)
def test_a_slash_alone_is_no_prefix_in_any_namespace(namespace: str) -> None:
    assert NamingSettings(frame_prefix="/").prefix_in(namespace) == ""


def test_a_name_that_tf_does_not_have_is_refused_with_the_one_that_is_meant() -> None:
    with pytest.raises(FaultError, match=r"frame_prefix is '/robot1/'.*give 'robot1/'") as refusal:
        with_values(NamingSettings(), {"frame_prefix": "/robot1/"})
    assert refusal.value.fault is Fault.INVALID_PARAMETER


def test_it_is_none_of_the_parameters_that_hold_at_once() -> None:
    assert "frame_prefix" in names(NamingSettings())
    assert "frame_prefix" not in names(CommonSettings())
