"""Joint states of people, and the topics of REP-155, from perception.launch.py: seen from outside, over DDS."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import launch_pytest
import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from launch import LaunchDescription
from launch.actions import SetEnvironmentVariable
from lifecycle_msgs.msg import Transition
from perception_graph import PATIENCE, NodeServices, perception_graph, told_by, write_frame
from rig_kinematics import NamedAngles
from sensor_msgs.msg import JointState
from tf2_msgs.msg import TFMessage

from sam3d_ros.msg import BodyArray
from sam3d_ros.ros.body_messages import ReceivedBody, bodies_from_message
from sam3d_ros.ros.object_messages import confidence
from sam3d_ros.ros.qos import qos_profile

pytest.importorskip("torch", reason="requirements/models.txt is not installed")

NODE = "/sam3d_bodies"
RELIABLE, LATCHED = qos_profile("reliable"), qos_profile("latched")
MILLIMETRE = 1e-3
WIDTH, HEIGHT, FOCAL = 320, 240, 300.0
#: Rows and columns of the people in the image by instance: the one on the left, and the one on the right.
PEOPLE = {5: ((40, 220), (40, 120)), 9: ((30, 230), (190, 280))}
IDS = {1: "b0001", 2: "b0002"}
#: Keypoints in the order of hri_msgs/Skeleton2D.
POINTS = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "left_eye", "right_eye",
    "left_ear", "right_ear",
)  # fmt: skip
#: The axes of the rig (left, up, out of the chest) in a camera that faces it.
CAMERA_FROM_RIG = np.diag([1.0, -1.0, -1.0])


@pytest.fixture(scope="module", autouse=True)
def _environment_of_this_module() -> Iterator[None]:
    """Launch sets the variables of its own process."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@launch_pytest.fixture(scope="module")
def graph(
    own_domain: None,
    hri_msgs: dict[str, str],
    tiny_body_checkpoint: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> LaunchDescription:
    """People alone, where hri_msgs is installed; whoever is away for half a second is gone."""
    folder = tmp_path_factory.mktemp("humans")
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for instance, (rows, columns) in PEOPLE.items():
        labels[slice(*rows), slice(*columns)] = instance
    frames = write_frame(folder / "frames", labels, depths=(2.5, 3.5), focal=FOCAL)
    parameters = {"people": ["5", "9"], "lost_timeout": 0.5, "humans": "auto", "surface_markers": False}
    settings = folder / "params.yaml"
    settings.write_text(
        yaml.safe_dump(
            {
                "/**/perception": {"ros__parameters": {"nodes": ["sam3d_bodies"]}},
                "/**/sam3d_bodies": {"ros__parameters": parameters},
            }
        )
    )
    arguments = {
        "sam3d_params_file": str(settings),
        "sam3d_body_checkpoint": str(tiny_body_checkpoint),
        "sam3d_body_mode": "body",
        "sam3d_device": "cpu",
        "sam3d_dtype": "float32",
    }
    environment = [SetEnvironmentVariable(name, value) for name, value in hri_msgs.items()]
    return LaunchDescription([*environment, *perception_graph(frames, 4.0, arguments).entities])


class Heard:
    """What the node said since this listener was made."""

    def __init__(self, probe: Any) -> None:
        hri = importlib.import_module("hri_msgs.msg")
        self.probe = probe
        self.bodies = probe.hear(BodyArray, f"{NODE}/bodies", RELIABLE)
        self.tf = probe.hear(TFMessage, "/tf", qos_profile("reliable", depth=100))
        self.tracked = probe.hear(hri.IdsList, "/humans/bodies/tracked", LATCHED)
        self.states = self._of_each(JointState, f"{NODE}/body_{{track}}/joint_states")
        self.human_states = self._of_each(JointState, "/humans/bodies/{id}/joint_states")
        self.regions = self._of_each(hri.NormalizedRegionOfInterest2D, "/humans/bodies/{id}/roi")
        self.skeletons = self._of_each(hri.Skeleton2D, "/humans/bodies/{id}/skeleton2d")

    def _of_each(self, kind: type, topic: str) -> dict[int, list[Any]]:
        return {i: self.probe.hear(kind, topic.format(track=i, id=name), RELIABLE) for i, name in IDS.items()}

    def complete(self) -> BodyArray | None:
        """The newest message of both people for whose image everything else has come, too."""
        kinds = (self.states, self.human_states, self.regions, self.skeletons)
        for message in reversed(list(self.bodies)):
            if len(message.bodies) == 2 and all(
                at(message, kind[i]) for kind in (*kinds, dict.fromkeys(IDS, self.tracked)) for i in IDS
            ):
                return message
        return None

    def topics(self) -> set[str]:
        """Topics of single people that there are now."""
        return {
            name
            for name, _ in self.probe.node.get_topic_names_and_types()
            if (name.startswith((f"{NODE}/body_", "/humans/bodies/b")))
            and self.probe.node.count_publishers(name)
        }


def at(message: BodyArray, said: Iterable[Any]) -> Any:
    """What was said of the image of a message."""
    return next((m for m in list(said) if m.header.stamp == message.header.stamp), None)


def topics_of(ids: Iterable[int]) -> set[str]:
    return {
        topic
        for i in ids
        for topic in (
            f"{NODE}/body_{i}/joint_states",
            *(f"/humans/bodies/{IDS[i]}/{kind}" for kind in ("roi", "skeleton2d", "joint_states")),
        )
    }


@pytest.fixture(scope="module")
def heard(probe: Any, hri_msgs: dict[str, str]) -> Heard:
    return Heard(probe)


@pytest.fixture(scope="module")
def seen(heard: Heard, wait_for: Any) -> BodyArray:
    """A BodyArray of both people, and everything that belongs to it."""
    message = wait_for(heard.complete, PATIENCE)
    assert message, f"{len(heard.bodies)} arrays came, and {len(heard.tracked)} lists"
    return message


@pytest.fixture
def node(call: Any) -> NodeServices:
    return NodeServices(NODE, call)


def with_instances(message: BodyArray) -> list[tuple[int, ReceivedBody]]:
    """The people from the left to the right, with their instances."""
    people = sorted(bodies_from_message(message), key=lambda body: body.header_from_body.translation[0])
    return list(zip(PEOPLE, people, strict=True))


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(300)
def test_kinematics_of_the_angles_lead_to_the_joints(seen: BodyArray, heard: Heard) -> None:
    rig = NamedAngles(list(seen.joint_names))
    assert {body.id for body in seen.bodies} == set(IDS)
    for body in bodies_from_message(seen):
        state = at(seen, heard.states[body.id])
        assert set(state.name) == rig.degrees_of_freedom()
        assert not state.velocity and not state.effort
        places, rotations = rig.pose(dict(zip(state.name, state.position, strict=True)), body.rig.model)
        steps = (places - places[0]) @ CAMERA_FROM_RIG
        measured = body.joints - body.joints[0]
        scale = (measured * steps).sum() / (steps**2).sum()  # that measured depth gave to the body
        assert np.allclose(measured, scale * steps, atol=MILLIMETRE)
        assert np.allclose(body.joint_rotations, CAMERA_FROM_RIG @ rotations, atol=MILLIMETRE)


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(300)
def test_humans_have_the_ids_frames_and_angles_of_the_bodies(
    seen: BodyArray, heard: Heard, wait_for: Any
) -> None:
    assert list(at(seen, heard.tracked).ids) == list(IDS.values())
    for track_id in IDS:
        assert at(seen, heard.human_states[track_id]) == at(seen, heard.states[track_id])

    def frames() -> dict[str, Any]:
        return {
            t.child_frame_id: t
            for message in list(heard.tf)
            for t in message.transforms
            if t.header.stamp == seen.header.stamp
        }

    assert wait_for(frames)
    for track_id, name in IDS.items():
        own, human = frames()[f"body_{track_id}"], frames()[f"body_{name}"]
        assert (own.header, own.transform) == (human.header, human.transform)
        assert human.header.frame_id == seen.header.frame_id


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(300)
def test_regions_and_skeletons_lie_on_the_people_in_the_image(seen: BodyArray, heard: Heard) -> None:
    size = np.array([WIDTH, HEIGHT])
    for instance, body in with_instances(seen):
        (top, bottom), (left, right) = PEOPLE[instance]
        region, skeleton = at(seen, heard.regions[body.id]), at(seen, heard.skeletons[body.id])
        assert region.header.frame_id == skeleton.header.frame_id == "camera_optical_frame"
        edges = left / WIDTH, top / HEIGHT, right / WIDTH, bottom / HEIGHT
        assert (region.xmin, region.ymin, region.xmax, region.ymax) == pytest.approx(edges)
        assert region.c == pytest.approx(confidence(body.verdict))
        keypoints = body.keypoints[[body.skeleton.keypoints.index(name) for name in POINTS]]
        places = (FOCAL * keypoints[:, :2] / keypoints[:, 2:] + size / 2 + 0.5) / size
        inside = ((places >= 0) & (places <= 1)).all(axis=1)
        assert inside.any()
        told = np.array([(point.x, point.y) for point in skeleton.skeleton])
        assert np.allclose(told, np.where(inside[:, None], places, 0.0), atol=1e-4)
        scores = np.where(inside, confidence(body.verdict), 0.0)
        assert np.allclose([point.c for point in skeleton.skeleton], scores, atol=1e-6)


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(300)
def test_topics_go_with_the_person_and_with_the_node(
    seen: BodyArray, heard: Heard, node: NodeServices, wait_for: Any
) -> None:
    assert wait_for(lambda: heard.topics() == topics_of(IDS))
    stays = dict(with_instances(seen))[9].id
    node.put("people", ["9"])
    assert wait_for(lambda: heard.topics() == topics_of([stays]))
    assert wait_for(lambda: list(heard.tracked[-1].ids) == [IDS[stays]])
    # However long the pause takes, it is the same person after it.
    node.put("lost_timeout", 600.0)
    assert node.change(Transition.TRANSITION_DEACTIVATE)
    assert wait_for(lambda: heard.topics() == set())
    assert wait_for(lambda: list(heard.tracked[-1].ids) == [])
    assert node.change(Transition.TRANSITION_ACTIVATE)
    assert wait_for(lambda: heard.topics() == topics_of([stays]))
    assert node.change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    assert wait_for(lambda: not heard.probe.node.count_publishers("/humans/bodies/tracked"))


@pytest.mark.timeout(200)
def test_humans_without_their_package_are_refused_by_name(
    hri_msgs: dict[str, str], monkeypatch: pytest.MonkeyPatch, probe: Any, run: Any, wait_for: Any
) -> None:
    if not hri_msgs:
        pytest.skip("hri_msgs is installed here")
    for name, value in hri_msgs.items():
        monkeypatch.setenv(name, value.partition(os.pathsep)[2])  # the launch has put the package before
    diagnostics = probe.hear(DiagnosticArray, "/diagnostics", 10)
    process = run("sam3d_bodies", "--ros-args", "-r", "__node:=lonely", "-p", "humans:=always")
    fault = wait_for(lambda: told_by("lonely", "faults", diagnostics).get("invalid_parameter"), PATIENCE)
    assert "hri_msgs cannot be imported" in fault
    assert "set humans to auto or never" in fault
    assert process.alive()
