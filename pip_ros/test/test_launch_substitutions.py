"""Substitutions, and their notation in texts."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from launch import LaunchContext, Substitution
from launch.frontend.parse_substitution import parse_substitution
from launch.substitutions import (
    AllSubstitution,
    AndSubstitution,
    AnonName,
    AnySubstitution,
    Command,
    EnvironmentVariable,
    EqualsSubstitution,
    FileContent,
    FindExecutable,
    IfElseSubstitution,
    LaunchConfiguration,
    LocalSubstitution,
    NotEqualsSubstitution,
    NotSubstitution,
    OrSubstitution,
    PathJoinSubstitution,
    PythonExpression,
    StringJoinSubstitution,
    SubstitutionFailure,
    TextSubstitution,
)
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions


@pytest.fixture
def context() -> LaunchContext:
    context = LaunchContext()
    context.launch_configurations.update({"name": "robot", "on": "true", "off": "False", "two": "2"})
    return context


NAME, ON, OFF, TWO = (LaunchConfiguration(name) for name in ("name", "on", "off", "two"))


@pytest.mark.parametrize(
    ("substitution", "text"),
    [
        (TextSubstitution(text="plain"), "plain"),
        (NAME, "robot"),
        (LaunchConfiguration(["na", "me"]), "robot"),
        (LaunchConfiguration("missing", default="spare"), "spare"),
        (LaunchConfiguration("missing", default=["a ", NAME]), "a robot"),
        (LaunchConfiguration("missing", default=5), "5"),
        (EnvironmentVariable("LAUNCH_TEST_UNSET", default_value="d"), "d"),
        (PathJoinSubstitution(["/a", NAME, "b.yaml"]), "/a/robot/b.yaml"),
        (PathJoinSubstitution(["/a", [NAME, ".yaml"]]), "/a/robot.yaml"),
        (PathJoinSubstitution(["/a", ""]), "/a/"),
        (StringJoinSubstitution(["a", NAME, ["x", "y"]], delimiter="."), "a.robot.xy"),
        (PythonExpression(["'", NAME, "' == 'robot'"]), "True"),
        (PythonExpression([TWO, " * 3"]), "6"),
        (PythonExpression(["sin(0) + math.pi"]), str(math.pi)),
        (PythonExpression(["os.path.basename('/x/y')"], python_modules=["os"]), "y"),
        (NotSubstitution(ON), "false"),
        (NotSubstitution("0"), "true"),
        (AndSubstitution(ON, True), "true"),
        (AndSubstitution(ON, OFF), "false"),
        (OrSubstitution(OFF, ON), "true"),
        (OrSubstitution(OFF, "no"), "false"),
        (AllSubstitution(ON, ON, OFF), "false"),
        (AnySubstitution(OFF, OFF, ON), "true"),
        (EqualsSubstitution(NAME, "robot"), "true"),
        (EqualsSubstitution("1.0", "1"), "true"),
        (EqualsSubstitution("true", "1"), "true"),
        (EqualsSubstitution(ON, True), "true"),
        (EqualsSubstitution("a", None), "false"),
        (NotEqualsSubstitution(NAME, "arm"), "true"),
        (IfElseSubstitution(ON, "yes", "no"), "yes"),
        (IfElseSubstitution(OFF, LaunchConfiguration("missing"), "no"), "no"),
        (Command("echo 'two words'"), "two words\n"),
        (Command("sh -c 'echo bad >&2; echo good'", on_stderr="ignore"), "good\n"),
        (Command("sh -c 'echo bad >&2'", on_stderr="capture"), "bad\n"),
    ],
)
def test_value(substitution: Substitution, text: str, context: LaunchContext) -> None:
    assert context.perform_substitution(substitution) == text


@pytest.mark.parametrize(
    ("substitution", "message"),
    [
        (LaunchConfiguration("missing"), "'missing' does not exist"),
        (EnvironmentVariable("LAUNCH_TEST_UNSET"), "'LAUNCH_TEST_UNSET' does not exist"),
        (NotSubstitution(NAME), "robot"),
        (FindExecutable(name="no-such-program"), "no-such-program"),
        (Command("sh -c 'exit 3'"), "sh -c 'exit 3'"),
        (Command("sh -c 'echo bad >&2'"), "bad"),
        (Command("no-such-program"), "no-such-program"),
        (FileContent("/no/such/file"), "/no/such/file"),
        (LocalSubstitution("event.reason"), "event"),
    ],
)
def test_failure_names_what_is_missing(
    substitution: Substitution, message: str, context: LaunchContext
) -> None:
    with pytest.raises(SubstitutionFailure, match=message):
        context.perform_substitution(substitution)


def test_environment_variable(context: LaunchContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAUNCH_TEST_SET", "here")
    assert EnvironmentVariable("LAUNCH_TEST_SET", default_value="d").perform(context) == "here"


def test_find_executable_is_on_the_path(context: LaunchContext) -> None:
    path = FindExecutable(name="sh").perform(context)
    assert os.access(path, os.X_OK)
    assert Path(path).name == "sh"


def test_file_content(context: LaunchContext, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("inside\n")
    assert FileContent(tmp_path / "a").perform(context) == "inside\n"


def test_anonymous_name_is_unique_but_stays(context: LaunchContext) -> None:
    first = AnonName("camera").perform(context)
    assert first.startswith("camera_")
    assert first.isidentifier()
    assert AnonName("camera").perform(context) == first
    assert AnonName("camera").perform(LaunchContext()) != first


@pytest.mark.parametrize("wrong", [5, None, object(), [1]])
def test_normalize_refuses_other_things(wrong: Any) -> None:
    with pytest.raises(TypeError):
        normalize_to_list_of_substitutions(wrong)


@given(st.lists(st.one_of(st.text(), st.lists(st.text()))))
def test_parts_are_concatenated(parts: list[Any]) -> None:
    expected = "".join(part if isinstance(part, str) else "".join(part) for part in parts)
    assert perform_substitutions(LaunchContext(), normalize_to_list_of_substitutions(parts)) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("a $(var name) b", "a robot b"),
        ("$(var name)$(var two)", "robot2"),
        ("$(var missing spare)", "spare"),
        ("$(var missing 'two words')", "two words"),
        ("$(var $(var alias))", "robot"),
        ("$(env LAUNCH_TEST_UNSET $(var name))", "robot"),
        ("$(eval '$(var two) + 1')", "3"),
        ("$(not $(var on))", "false"),
        (r"\$(var name)", "$(var name)"),
        ("cost: $5 (net)", "cost: $5 (net)"),
    ],
)
def test_notation(text: str, value: str, context: LaunchContext) -> None:
    context.launch_configurations["alias"] = "name"
    assert perform_substitutions(context, parse_substitution(text)) == value


def test_unknown_notation_is_refused_by_name() -> None:
    with pytest.raises(NotImplementedError, match="no-such-thing"):
        parse_substitution("$(no-such-thing a)")
    with pytest.raises(ValueError, match="not closed"):
        parse_substitution("a $(var name")


@given(st.text(alphabet=st.characters(exclude_characters="\\$")))
def test_text_without_notation_is_unchanged(text: str) -> None:
    assert perform_substitutions(LaunchContext(), parse_substitution(text)) == text
