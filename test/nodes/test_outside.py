"""Nothing from outside ends the node: transforms, requests and messages as anybody may send them."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from node_process import DEPTH_FRAME, FRAME, LIDAR_FRAME, NAME, Feed, NodeInProcess
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters, SetParametersAtomically
from tf2_msgs.msg import TFMessage

from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.srv import SaveScene

NAN, INFINITE = math.nan, math.inf
UPRIGHT = Quaternion(w=1.0)
TRANSFORMS = {
    "infinite translation": Transform(translation=Vector3(x=INFINITE), rotation=UPRIGHT),
    "NaN translation": Transform(translation=Vector3(y=NAN), rotation=UPRIGHT),
    "NaN rotation": Transform(rotation=Quaternion(x=NAN, w=1.0)),
    "infinite rotation": Transform(rotation=Quaternion(x=INFINITE, w=1.0)),
    "zero quaternion": Transform(rotation=Quaternion(w=0.0)),
    "huge translation": Transform(translation=Vector3(z=1e300), rotation=UPRIGHT),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where scenes may be written; made by the node."""
    return tmp_path_factory.mktemp("data") / "scenes"


@pytest.fixture(scope="module")
def process(own_domain: None, folder: Path) -> Iterator[NodeInProcess]:
    # Sensors are taken as they come: the input changes from one to the other.
    sensors = {"auto_range_sensor": "false", "assembler.expect_depth": "false"}
    made = NodeInProcess(tf_timeout="0.02", scene_folder=folder, reconstructor="geometric", **sensors)
    yield made
    assert made.is_spinning()
    made.close()


@pytest.fixture(scope="module")
def feed(process: NodeInProcess, probe: Any, wait_for: Any) -> Feed:
    made = Feed(probe)
    assert made.works(wait_for)
    return made


@pytest.mark.parametrize("moves", [True, False], ids=["moving", "static"])
@pytest.mark.parametrize("sensor", ["depth", "lidar"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_that_is_none_costs_the_sensor_alone(
    process: NodeInProcess, feed: Feed, probe: Any, wait_for: Any, name: str, sensor: str, moves: bool
) -> None:
    topic, qos = ("/tf", 10) if moves else ("/tf_static", qos_profile("latched"))
    publisher = probe.node.create_publisher(TFMessage, topic, qos)
    sent: list[int] = []
    child = f"{DEPTH_FRAME if sensor == 'depth' else LIDAR_FRAME}_{name.replace(' ', '_')}_{moves}"

    def send() -> bool:
        for age in (1, -1):
            stamp = header_message(probe.node.get_clock().now().nanoseconds - age * 1_000_000_000, FRAME)
            transform = TransformStamped(header=stamp, child_frame_id=child, transform=TRANSFORMS[name])
            publisher.publish(TFMessage(transforms=[transform]))
        sent.append(feed.send(depth_frame=child) if sensor == "depth" else feed.send(lidar_frame=child))
        return any(map(feed.is_answered, sent))

    assert wait_for(send)
    assert feed.works(wait_for)
    probe.do(lambda: probe.node.destroy_publisher(publisher))


@pytest.mark.parametrize("name", ["infinite translation", "huge translation"])
def test_a_transform_that_is_none_is_named(
    process: NodeInProcess, feed: Feed, probe: Any, wait_for: Any, name: str
) -> None:
    # tf2 itself ignores, and logs, what is not a number or no rotation.
    publisher = probe.node.create_publisher(TFMessage, "/tf_static", qos_profile("latched"))
    child = f"{DEPTH_FRAME}_of_{name.replace(' ', '_')}"
    transform = TransformStamped(
        header=header_message(0, FRAME), child_frame_id=child, transform=TRANSFORMS[name]
    )
    publisher.publish(TFMessage(transforms=[transform]))
    named = process.faults()["invalid_transform"]
    assert wait_for(lambda: feed.send(depth_frame=child) and process.faults()["invalid_transform"] > named)
    probe.do(lambda: probe.node.destroy_publisher(publisher))


@pytest.mark.parametrize(
    "path",
    [
        "~nosuchuser/x.glb",
        "../x.glb",
        "inside/../../x.glb",
        "a/../x.glb",
        "/elsewhere/x.glb",
        "~/x.glb",
        "link/x.glb",
        "leads_out.glb",
        "x.txt",
        "",
        ".",
        ".glb",
        "with\0null.glb",
        f"{'long' * 100}.glb",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_by_name(
    process: NodeInProcess, feed: Feed, call: Any, folder: Path, tmp_path: Path, path: str
) -> None:
    folder.mkdir(exist_ok=True)
    for link, target in (("link", tmp_path), ("leads_out.glb", tmp_path / "x.glb")):
        (folder / link).unlink(missing_ok=True)
        (folder / link).symlink_to(target)
    answer = call(SaveScene, f"{NAME}/save_scene", SaveScene.Request(path=path))
    assert not answer.success
    assert answer.message
    if "long" not in path:
        assert "invalid_request" in answer.message and str(folder) in answer.message
        assert process.faults()["invalid_request"]
    assert not list(tmp_path.iterdir())
    assert sorted(entry.name for entry in folder.iterdir()) == ["leads_out.glb", "link"]
    for link in ("link", "leads_out.glb"):
        (folder / link).unlink()


def test_a_scene_is_written_whole_below_the_folder_and_replaced(
    process: NodeInProcess, feed: Feed, call: Any, folder: Path, wait_for: Any
) -> None:
    assert feed.works(wait_for)
    for path in ("scene.glb", str(folder / "scene.glb")):
        answer = call(SaveScene, f"{NAME}/save_scene", SaveScene.Request(path=path))
        assert (answer.success, answer.object_count) == (True, 1), answer.message
        assert (folder / "scene.glb").read_bytes()[:4] == b"glTF"
        assert [entry.name for entry in folder.iterdir()] == ["scene.glb"]
    (folder / "scene.glb").unlink()


def test_transitions_that_the_state_does_not_allow_are_answered(
    process: NodeInProcess, feed: Feed, call: Any, wait_for: Any
) -> None:
    for transition in (Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_CONFIGURE, 200):
        request = ChangeState.Request(transition=Transition(id=transition))
        assert not call(ChangeState, f"{NAME}/change_state", request).success
    assert feed.works(wait_for)


def test_parameters_of_no_type_are_answered(
    process: NodeInProcess, feed: Feed, call: Any, wait_for: Any
) -> None:
    odd = Parameter(name="tf_timeout", value=ParameterValue(type=99))
    answer = call(SetParameters, f"{NAME}/set_parameters", SetParameters.Request(parameters=[odd, odd]))
    assert [result.successful for result in answer.results] == [False, False]
    assert all(result.reason for result in answer.results)
    atomically = SetParametersAtomically.Request(parameters=[odd])
    answer = call(SetParametersAtomically, f"{NAME}/set_parameters_atomically", atomically)
    assert not answer.result.successful and answer.result.reason
    assert feed.works(wait_for)


def test_each_parameter_of_a_request_has_an_answer_of_its_own(process: NodeInProcess, call: Any) -> None:
    def value(number: float) -> ParameterValue:
        return ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=number)

    given = {
        "tf_timeout": value(0.03),
        "no_such_parameter": value(1.0),
        "max_depth": ParameterValue(type=99),
        "tracker.lost_timeout": value(2.0),
    }
    request = SetParameters.Request(parameters=[Parameter(name=name, value=v) for name, v in given.items()])
    results = call(SetParameters, f"{NAME}/set_parameters", request).results
    told = dict(zip(given, results, strict=True))
    assert "invalid_parameter" in told["max_depth"].reason and "type 99" in told["max_depth"].reason
    for name in ("tf_timeout", "tracker.lost_timeout"):
        held = call(GetParameters, f"{NAME}/get_parameters", GetParameters.Request(names=[name])).values
        assert told[name].successful == (list(held) == [given[name]]), (name, told[name].reason)
    assert told["tracker.lost_timeout"].successful
    assert not told["no_such_parameter"].successful


@pytest.mark.parametrize("name", ["", " ", "no_such_parameter", "TF_TIMEOUT", "tf_timeout.", "é"])
def test_a_parameter_that_there_is_not_is_refused_by_its_name(
    process: NodeInProcess, call: Any, name: str
) -> None:
    given = Parameter(name=name, value=ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=1.0))
    answer = call(SetParameters, f"{NAME}/set_parameters", SetParameters.Request(parameters=[given]))
    together = call(
        SetParametersAtomically,
        f"{NAME}/set_parameters_atomically",
        SetParametersAtomically.Request(parameters=[given]),
    )
    for result in (*answer.results, together.result):
        assert not result.successful
        assert "invalid_parameter" in result.reason and repr(name) in result.reason
    names = call(ListParameters, f"{NAME}/list_parameters", ListParameters.Request()).result.names
    assert name not in names


def type_of(kind: str) -> Any:
    """The type of a service by its name, such as std_srvs/srv/Trigger."""
    package, folder, name = kind.split("/")
    if folder == "action":
        action, _, part = name.partition("_")
        return getattr(getattr(importlib.import_module(f"{package}.action"), action).Impl, f"{part}Service")
    return getattr(importlib.import_module(f"{package}.{folder}"), name)


def test_every_service_answers_a_request_that_says_nothing(
    process: NodeInProcess, feed: Feed, call: Any, wait_for: Any
) -> None:
    # Asked of the node itself: another one may not know of all of them yet, and is waited for by each call.
    services = dict(process.node.get_service_names_and_types_by_node(NAME[1:], "/"))
    assert f"{NAME}/save_scene" in services and len(services) > 15
    for name, (kind, *_) in services.items():
        service_type = type_of(kind)
        call(service_type, name, service_type.Request())
    assert feed.works(wait_for)
