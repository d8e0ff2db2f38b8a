"""Arguments, launch configurations, scopes and conditions of launch descriptions, as launch defines them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from launch import Action, LaunchContext, LaunchDescription, LaunchDescriptionEntity, LaunchService
from launch.actions import (
    AppendEnvironmentVariable,
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    PopLaunchConfigurations,
    SetEnvironmentVariable,
    SetLaunchConfiguration,
    UnsetEnvironmentVariable,
    UnsetLaunchConfiguration,
)
from launch.conditions import (
    IfCondition,
    InvalidConditionExpressionError,
    LaunchConfigurationEquals,
    LaunchConfigurationNotEquals,
    UnlessCondition,
)
from launch.launch_description_sources import (
    InvalidPythonLaunchFileError,
    PythonLaunchDescriptionSource,
)
from launch.logging import launch_config
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, ThisLaunchFileDir

Launch = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def _logs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    launch_config.reset()
    yield
    launch_config.reset()


@pytest.fixture
def launch(capfd: pytest.CaptureFixture[str]) -> Launch:
    """Run entities; return the return code and what was printed."""

    def run(*entities: LaunchDescriptionEntity) -> tuple[int, str]:
        service = LaunchService()
        service.include_launch_description(LaunchDescription(entities))
        return service.run(), capfd.readouterr().out

    return run


class Seen(dict[str, str | None]):
    """Remembers launch configurations at points of a description."""

    def at(self, point: str, name: str) -> OpaqueFunction:
        def remember(context: LaunchContext) -> None:
            self[point] = context.launch_configurations.get(name)

        return OpaqueFunction(function=remember)


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_default_of_an_argument_becomes_its_configuration(launch: Launch, seen: Seen) -> None:
    first = DeclareLaunchArgument("a", default_value="1")
    second = DeclareLaunchArgument("b", default_value=["<", LaunchConfiguration("a"), ">"])
    assert launch(first, second, seen.at("end", "b"))[0] == 0
    assert seen == {"end": "<1>"}


def test_default_does_not_replace_a_value_that_is_set(launch: Launch, seen: Seen) -> None:
    launch(
        SetLaunchConfiguration("a", "2"), DeclareLaunchArgument("a", default_value="1"), seen.at("end", "a")
    )
    assert seen == {"end": "2"}


def test_missing_required_argument_fails_the_launch_by_its_name(launch: Launch) -> None:
    code, out = launch(DeclareLaunchArgument("camera", description="which camera"))
    assert code == 1
    assert 'Required launch argument "camera" (description: "which camera") was not provided' in out


def test_value_outside_the_choices_fails_the_launch(launch: Launch) -> None:
    argument = DeclareLaunchArgument("mode", choices=["fast", "good"], default_value="fast")
    code, out = launch(SetLaunchConfiguration("mode", "best"), argument)
    assert code == 1
    assert (
        "Argument \"mode\" provided value \"best\" is not valid. Valid options are: ['fast', 'good']" in out
    )


def test_choices_are_checked_when_declared() -> None:
    with pytest.raises(ValueError, match="choices"):
        DeclareLaunchArgument("mode", choices=["fast"], default_value="slow")
    with pytest.raises(ValueError, match="empty"):
        DeclareLaunchArgument("mode", choices=[])


def test_group_is_a_scope(launch: Launch, seen: Seen) -> None:
    group = GroupAction([SetLaunchConfiguration("a", "inner"), seen.at("inside", "a")])
    launch(SetLaunchConfiguration("a", "outer"), group, seen.at("after", "a"))
    assert seen == {"inside": "inner", "after": "outer"}


def test_group_without_scope_leaves_its_traces(launch: Launch, seen: Seen) -> None:
    group = GroupAction([SetLaunchConfiguration("a", "inner")], scoped=False)
    launch(SetLaunchConfiguration("a", "outer"), group, seen.at("after", "a"))
    assert seen == {"after": "inner"}


def test_group_without_forwarding_sees_only_what_it_is_given(launch: Launch, seen: Seen) -> None:
    group = GroupAction(
        [seen.at("a", "a"), seen.at("b", "b")],
        forwarding=False,
        launch_configurations={"b": ["from ", LaunchConfiguration("a")]},
    )
    launch(SetLaunchConfiguration("a", "outer"), group, seen.at("after", "a"))
    assert seen == {"a": None, "b": "from outer", "after": "outer"}


def test_unset_configuration_is_gone(launch: Launch, seen: Seen) -> None:
    launch(SetLaunchConfiguration("a", "1"), UnsetLaunchConfiguration("a"), seen.at("end", "a"))
    assert seen == {"end": None}


def test_pop_without_push_fails_the_launch(launch: Launch) -> None:
    assert launch(PopLaunchConfigurations())[0] == 1


@pytest.fixture
def child(tmp_path: Path) -> Path:
    """A launch file with a required and a default argument, and a file beside it."""
    folder = tmp_path / "child"
    folder.mkdir()
    path = folder / "child.launch.py"
    path.write_text(
        "from launch import LaunchDescription\n"
        "from launch.actions import *\n"
        "from launch.substitutions import *\n"
        "def generate_launch_description():\n"
        "    return LaunchDescription([\n"
        "        DeclareLaunchArgument('needed', description='what for'),\n"
        "        DeclareLaunchArgument('other', default_value='default'),\n"
        "        SetLaunchConfiguration('place', ThisLaunchFileDir()),\n"
        "    ])\n"
    )
    return path


def test_include_passes_arguments_and_shares_the_scope(launch: Launch, seen: Seen, child: Path) -> None:
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(child)), launch_arguments={"needed": "yes"}.items()
    )
    code, _ = launch(
        include, seen.at("needed", "needed"), seen.at("other", "other"), seen.at("place", "place")
    )
    assert code == 0
    # As in the real one: only a GroupAction keeps the settings of an included file to itself.
    assert seen == {"needed": "yes", "other": "default", "place": str(child.parent)}


def test_include_in_a_group_leaves_no_traces(launch: Launch, seen: Seen, child: Path) -> None:
    include = IncludeLaunchDescription(str(child), launch_arguments=[("needed", "yes")])
    launch(GroupAction([include]), seen.at("after", "needed"))
    assert seen == {"after": None}


def test_include_without_a_required_argument_says_which(launch: Launch, child: Path) -> None:
    include = IncludeLaunchDescription(str(child), launch_arguments=[("wrong", "1")])
    code, out = launch(include)
    assert code == 1
    assert (
        "Included launch description missing required argument 'needed' (description: 'what for'), given: [wrong]"
        in out
    )


def test_a_launch_configuration_is_no_required_argument_of_an_include(launch: Launch, child: Path) -> None:
    code, out = launch(SetLaunchConfiguration("needed", "1"), IncludeLaunchDescription(str(child)))
    assert code == 1
    assert "Included launch description missing required argument 'needed'" in out


def test_this_launch_file_dir_is_that_of_the_included_file_from_then_on(
    launch: Launch, tmp_path: Path, child: Path, seen: Seen
) -> None:
    parent = tmp_path / "parent.launch.py"
    parent.write_text(
        "from launch import LaunchDescription\n"
        "from launch.actions import *\n"
        "from launch.substitutions import *\n"
        "def generate_launch_description():\n"
        "    child = PathJoinSubstitution([ThisLaunchFileDir(), 'child', 'child.launch.py'])\n"
        "    return LaunchDescription([\n"
        "        IncludeLaunchDescription(child, launch_arguments={'needed': '1'}.items()),\n"
        "        SetLaunchConfiguration('mine', ThisLaunchFileDir()),\n"
        "    ])\n"
    )
    code, _ = launch(
        IncludeLaunchDescription(str(parent)), seen.at("child", "place"), seen.at("mine", "mine")
    )
    assert code == 0
    assert seen == {"child": str(child.parent), "mine": str(child.parent)}


def test_arguments_of_a_description_are_listed_once_with_those_of_its_includes(child: Path) -> None:
    description = LaunchDescription(
        [
            DeclareLaunchArgument("other", default_value="mine", description="of the parent"),
            IncludeLaunchDescription(str(child)),
            DeclareLaunchArgument("rare", default_value="", condition=IfCondition("false")),
            GroupAction([DeclareLaunchArgument("grouped", default_value="")], condition=IfCondition("true")),
        ]
    )
    listed = {argument.name: argument for argument in description.get_launch_arguments()}
    assert list(listed) == ["other", "needed", "rare", "grouped"]
    assert listed["other"].description == "of the parent"
    assert [name for name, argument in listed.items() if argument._conditionally_included] == [
        "rare",
        "grouped",
    ]


def test_file_without_the_function_is_no_launch_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.launch.py"
    path.write_text("")
    with pytest.raises(InvalidPythonLaunchFileError, match="generate_launch_description"):
        PythonLaunchDescriptionSource(str(path)).get_launch_description(LaunchContext())


@pytest.mark.parametrize(
    ("expression", "truth"),
    [
        ("true", True),
        ("1", True),
        (" True ", True),
        ("TRUE", True),
        ("false", False),
        ("0", False),
        ("False", False),
    ],
)
def test_if_and_unless(expression: str, truth: bool) -> None:
    context = LaunchContext()
    assert IfCondition(expression).evaluate(context) is truth
    assert UnlessCondition(expression).evaluate(context) is not truth


@pytest.mark.parametrize("expression", ["", "yes", "2", "tru"])
def test_condition_that_is_neither_true_nor_false(expression: str) -> None:
    with pytest.raises(InvalidConditionExpressionError):
        IfCondition(expression).evaluate(LaunchContext())


@pytest.mark.parametrize(
    ("value", "expected", "equal"),
    [("a", "a", True), ("b", "a", False), (None, "a", False), (None, None, True)],
)
def test_launch_configuration_equals(value: str | None, expected: str | None, equal: bool) -> None:
    context = LaunchContext()
    if value is not None:
        context.launch_configurations["name"] = value
    assert LaunchConfigurationEquals("name", expected).evaluate(context) is equal
    assert LaunchConfigurationNotEquals("name", expected).evaluate(context) is not equal


def test_condition_decides_about_an_action_when_it_is_visited(launch: Launch) -> None:
    _, out = launch(
        DeclareLaunchArgument("on", default_value="true"),
        LogInfo(msg="spoken", condition=IfCondition(LaunchConfiguration("on"))),
        LogInfo(msg="silent", condition=UnlessCondition(LaunchConfiguration("on"))),
    )
    assert "spoken" in out
    assert "silent" not in out


def test_environment_of_a_group_ends_with_it(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHS", "a")
    monkeypatch.setenv("GONE", "x")
    values: list[tuple[str | None, ...]] = []

    def look(context: LaunchContext) -> None:
        values.append(tuple(os.environ.get(name) for name in ("PATHS", "GONE", "NEW")))

    launch(
        GroupAction(
            [
                AppendEnvironmentVariable("PATHS", "b"),
                AppendEnvironmentVariable("PATHS", "c", prepend=True),
                UnsetEnvironmentVariable("GONE"),
                SetEnvironmentVariable("NEW", ["n", "ew"]),
                OpaqueFunction(function=look),
            ]
        ),
        OpaqueFunction(function=look),
        SetEnvironmentVariable("NEW", "later"),
    )
    assert values == [("c:a:b", None, "new"), ("a", "x", None)]
    assert "NEW" not in os.environ, "the environment of the program is as before the launch"


def test_exception_in_a_launch_file_fails_the_launch_and_ends_it(launch: Launch, tmp_path: Path) -> None:
    path = tmp_path / "broken.launch.py"
    path.write_text("def generate_launch_description():\n    raise ValueError('broken on purpose')\n")
    code, out = launch(IncludeLaunchDescription(PathJoinSubstitution([str(tmp_path), "broken.launch.py"])))
    assert code == 1
    assert "[ERROR] [launch]: Caught exception in launch (see debug for traceback): broken on purpose" in out


def test_this_launch_file_dir_needs_a_launch_file(launch: Launch) -> None:
    assert launch(SetLaunchConfiguration("a", ThisLaunchFileDir()))[0] == 1


def test_what_is_left_out_says_so() -> None:
    with pytest.raises(NotImplementedError, match="colour"):
        LogInfo(msg="x", colour="red")
    with pytest.raises(NotImplementedError, match="ForLoop"):
        from launch.actions import ForLoop  # noqa: F401
    with pytest.raises(ImportError):
        from launch.actions import NoSuchAction  # noqa: F401


def test_action_without_execute_is_an_error() -> None:
    with pytest.raises(NotImplementedError):
        Action().visit(LaunchContext())
