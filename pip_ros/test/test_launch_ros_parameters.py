"""Values of parameters, from what a launch file says to what a node gets."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, List  # noqa: UP035 - launch files write List[int]

import launch_ros
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from launch import LaunchContext
from launch.substitutions import LaunchConfiguration, TextSubstitution
from launch_ros.actions import Node, PushRosNamespace, SetParameter, SetRemap
from launch_ros.parameter_descriptions import Parameter, ParameterFile, ParameterValue
from launch_ros.utilities import make_namespace_absolute, prefix_namespace


@pytest.fixture
def context() -> LaunchContext:
    context = LaunchContext()
    context.launch_configurations.update(
        {"number": "3", "flag": "true", "text": "abc", "empty": "", "list": "[1, 2]"}
    )
    return context


def given_to_node(context: LaunchContext, parameters: Mapping[Any, Any], **keywords: Any) -> dict[str, Any]:
    """Return the content of the parameter file that a node gets for a mapping."""
    node = Node(executable="/bin/true", parameters=[parameters], **keywords)
    command = node._command_line(context)
    path = Path(command[command.index("--params-file") + 1])
    content = yaml.safe_load(path.read_text())
    node._clean_up()
    assert not path.exists()
    return content


def value_of(context: LaunchContext, value: Any) -> Any:
    return given_to_node(context, {"p": value})["/**"]["ros__parameters"]["p"]


NUMBER, FLAG, TEXT, EMPTY, LIST = (
    LaunchConfiguration(name) for name in ("number", "flag", "text", "empty", "list")
)
FIZ, BUZ = TextSubstitution(text="fiz"), TextSubstitution(text="buz")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (3, 3),
        (2.5, 2.5),
        (1e-5, 1e-5),
        ("true", "true"),  # a plain text stays a text
        ("3", "3"),
        ("a: b", "a: b"),
        (NUMBER, 3),  # YAML tells the type of a substitution
        (FLAG, True),
        (TEXT, "abc"),
        (LIST, [1, 2]),
        ([FIZ, BUZ], "fizbuz"),  # a list of substitutions is one text
        ([FIZ, "buz"], "fizbuz"),
        ([[FIZ, BUZ], ["a", "b"]], ["fizbuz", "ab"]),  # a list of lists is an array of texts
        (["a", "b"], ["a", "b"]),
        ([1, 2], [1, 2]),
        ([1, 2.0], [1.0, 2.0]),
        ([True, False], [True, False]),
        ([True, 1], ["True", "1"]),
        (ParameterValue(NUMBER, value_type=str), "3"),
        (ParameterValue(NUMBER, value_type=float), 3.0),
        (ParameterValue(EMPTY, value_type=str), ""),
        (ParameterValue(LIST, value_type=List[int]), [1, 2]),  # noqa: UP006
        (ParameterValue(LIST, value_type=list[float]), [1.0, 2.0]),
        (ParameterValue(["1", NUMBER], value_type=int), 13),
        (ParameterValue("5", value_type=int), 5),
        (ParameterValue("5", value_type=str), "5"),
    ],
)
def test_value(value: Any, expected: Any, context: LaunchContext) -> None:
    got = value_of(context, value)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    "value",
    [
        EMPTY,
        ParameterValue(TEXT, value_type=int),
        ParameterValue(NUMBER, value_type=bool),
        ParameterValue(LIST, value_type=int),
        ParameterValue(NUMBER, value_type=List[int]),  # noqa: UP006
        ParameterValue(NUMBER, value_type=dict),
    ],
)
def test_value_of_the_wrong_type_is_refused(value: Any, context: LaunchContext) -> None:
    with pytest.raises((TypeError, ValueError)):
        value_of(context, value)


@pytest.mark.parametrize("wrong", [None, object(), {1, object()}])
def test_value_that_is_no_parameter_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(TypeError):
        Node(executable="x", parameters=[{"p": wrong}])


def test_bytes_are_not_supported() -> None:
    with pytest.raises(NotImplementedError, match="bytes"):
        Node(executable="x", parameters=[{"p": b"x"}])


@pytest.mark.parametrize("wrong", ["file.yaml", {"a": 1}, 5])
def test_parameters_must_be_a_sequence(wrong: Any) -> None:
    with pytest.raises(TypeError):
        Node(executable="x", parameters=wrong)


@given(
    st.one_of(
        st.booleans(),
        st.integers(min_value=-(2**63), max_value=2**63 - 1),
        st.floats(allow_nan=False),
        st.text(st.characters(exclude_categories=("Cs", "Cc"))),
        st.lists(st.integers(min_value=-(2**63), max_value=2**63 - 1), min_size=1),
        st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc"))), min_size=1),
    )
)
def test_every_plain_value_reaches_the_file_unchanged(value: Any) -> None:
    got = value_of(LaunchContext(), value)
    assert got == value
    assert type(got) is type(value)


def test_nested_mappings_become_dotted_names(context: LaunchContext) -> None:
    content = given_to_node(context, {"a": {"b": {"c": 1}, LaunchConfiguration("text"): 2}, "d": 3})
    assert content == {"/**": {"ros__parameters": {"a.b.c": 1, "a.abc": 2, "d": 3}}}


@pytest.mark.parametrize(
    ("keywords", "key"),
    [
        ({}, "/**"),
        ({"name": "n"}, "/**"),
        ({"namespace": "ns"}, "/**"),
        ({"name": "n", "namespace": "ns"}, "/ns/n"),
        ({"name": "n", "namespace": "/"}, "/n"),
    ],
)
def test_file_is_addressed_to_the_node_if_its_full_name_is_known(
    keywords: dict[str, Any], key: str, context: LaunchContext
) -> None:
    assert list(given_to_node(context, {"p": 1}, **keywords)) == [key]


@pytest.mark.parametrize(
    ("base", "own", "expected"),
    [
        (None, None, None),
        (None, "a", "/a"),
        (None, "", "/"),
        ("/a", None, "/a"),
        ("/a", "", "/a"),
        ("/a", "b", "/a/b"),
        ("/a", "/b", "/b"),
        ("/", "b", "/b"),
        ("/a", "/", "/"),
        ("a", "b/", "/a/b"),
    ],
)
def test_namespaces(base: str | None, own: str | None, expected: str | None) -> None:
    assert make_namespace_absolute(prefix_namespace(base, own)) == expected


def test_pushed_namespaces_nest(context: LaunchContext) -> None:
    PushRosNamespace("a").execute(context)
    PushRosNamespace(["b", "c"]).execute(context)
    assert context.launch_configurations["ros_namespace"] == "/a/bc"
    PushRosNamespace("/root").execute(context)
    assert context.launch_configurations["ros_namespace"] == "/root"


def test_settings_of_the_scope_come_before_those_of_the_node(context: LaunchContext) -> None:
    SetParameter("rate", NUMBER).execute(context)
    SetParameter("name", "3").execute(context)
    SetRemap("image", "camera/image").execute(context)
    node = Node(executable="/bin/true", parameters=[Parameter("own", [1.5])], remappings=[("a", "b")])
    command = node._command_line(context)
    assert command[command.index("--ros-args") :] == [
        *("--ros-args", "-p", "rate:=3", "-p", "name:=3", "-p", "own:=[1.5]"),
        *("-r", "image:=camera/image", "-r", "a:=b"),
    ]


def test_a_parameter_value_may_be_set_for_a_scope(context: LaunchContext) -> None:
    SetParameter("rate", launch_ros.descriptions.ParameterValue(NUMBER, value_type=float)).execute(context)
    assert "rate:=3.0" in Node(executable="/bin/true")._command_line(context)


def test_names_of_earlier_and_of_later_releases_mean_the_same() -> None:
    assert launch_ros.actions.PushRosNamespace is launch_ros.actions.PushROSNamespace
    assert launch_ros.descriptions.ParameterFile is ParameterFile
    with pytest.raises(NotImplementedError, match="ComposableNode"):
        launch_ros.descriptions.ComposableNode  # noqa: B018


def test_settings_stay_in_their_scope(context: LaunchContext) -> None:
    SetParameter("a", 1).execute(context)
    context._push_launch_configurations()
    SetParameter("b", 2).execute(context)
    context._pop_launch_configurations()
    command = Node(executable="/bin/true")._command_line(context)
    assert "a:=1" in command
    assert "b:=2" not in command


def test_parameter_file_is_passed_as_it_is(context: LaunchContext, tmp_path: Path) -> None:
    path = tmp_path / "abc.yaml"
    path.write_text("/**: {ros__parameters: {p: $(var text)}}\n")
    command = Node(executable="x", parameters=[[str(tmp_path) + "/", TEXT, ".yaml"]])._command_line(context)
    assert command[-2:] == ["--params-file", str(path)]


def test_substitutions_in_a_parameter_file_are_performed_on_demand(
    context: LaunchContext, tmp_path: Path
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "/**:\n  ros__parameters:\n    p: $(var number)\n    q: '$(env NO_SUCH_VARIABLE spare)'\n"
    )
    file = ParameterFile(path, allow_substs=True)
    node = Node(executable="x", parameters=[file])
    made = Path(node._command_line(context)[-1])
    assert yaml.safe_load(made.read_text()) == {"/**": {"ros__parameters": {"p": 3, "q": "spare"}}}
    node._clean_up()
    assert not made.exists()
    assert path.exists()


def test_missing_parameter_file_is_told_and_left_out(
    context: LaunchContext, capfd: pytest.CaptureFixture[str]
) -> None:
    command = Node(executable="x", parameters=["/no/such.yaml"])._command_line(context)
    assert "--params-file" not in command
    assert "Parameter file path is not a file: /no/such.yaml" in capfd.readouterr().out


@given(st.floats(allow_nan=False))
def test_assignment_on_the_command_line_keeps_the_value(value: float) -> None:
    node = Node(executable="x", parameters=[Parameter("x", value)])
    (assignment,) = (word for word in node._command_line(LaunchContext()) if word.startswith("x:="))
    read = yaml.safe_load(assignment.removeprefix("x:="))
    assert isinstance(read, float)
    assert read == value
    if math.isfinite(value):
        assert ast.literal_eval(assignment.removeprefix("x:=")) == value
