"""People in the graph: perception.launch.py with people, on weights of the official layout, seen from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import launch_pytest
import numpy as np
import pytest
from command_line import run_process
from diagnostic_msgs.msg import DiagnosticArray
from launch import LaunchDescription
from lifecycle_msgs.msg import Transition
from perception_graph import PATIENCE, NodeServices, perception_graph, told_by, write_frame
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.msg import BodyArray, BodyMesh
from sam3d_ros.perception.people.estimates import BodyEstimate
from sam3d_ros.perception.recorded.frame_folder import read_frame_folder
from sam3d_ros.ros.body_markers import NAMESPACES
from sam3d_ros.ros.body_messages import ReceivedBody, bodies_from_message
from sam3d_ros.ros.object_messages import mesh_from_message
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.transforms import similarity_from_transform

pytest.importorskip("torch", reason="requirements/models.txt is not installed")

NODE = "/sam3d_bodies"
RELIABLE, LATCHED = qos_profile("reliable"), qos_profile("latched", depth=100)
#: What everything that is told of a body has to agree to, metres.
MILLIMETRE = 1e-3
#: Instances of people and of an object in the label image.
PEOPLE, CUP = (5, 9), 3


@pytest.fixture(scope="module")
def frame_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people and a cup before a wall."""
    labels = np.zeros((240, 320), np.uint8)
    labels[40:220, 40:120], labels[30:230, 190:280], labels[100:140, 135:175] = *PEOPLE, CUP
    folder = tmp_path_factory.mktemp("frames") / "people"
    write_frame(folder, labels, depths=(2.5, 3.5), focal=300.0)
    (folder / "people.json").write_text(json.dumps({"people": [{"id": i} for i in PEOPLE]}))
    return folder


@pytest.fixture(scope="module")
def expected(tiny_body_checkpoint: Path, frame_folder: Path) -> list[BodyEstimate]:
    """What the reconstructor answers without any ROS between, in the order of the instances."""
    from sam3d_ros.reconstruction.bodies import BodyNetworkReconstructor
    from sam3d_ros.reconstruction.body_config import BodyNetworkConfig

    config = BodyNetworkConfig(checkpoint=str(tiny_body_checkpoint), device="cpu", dtype="float32")
    return BodyNetworkReconstructor(config).reconstruct(read_frame_folder(frame_folder).frame(), PEOPLE)


@launch_pytest.fixture(scope="module")
def graph(own_domain: None, tiny_body_checkpoint: Path, frame_folder: Path) -> LaunchDescription:
    """The launch file as a user includes it, and a camera that plays one frame."""
    arguments = {
        "sam3d_bodies": "true",
        "sam3d_body_checkpoint": str(tiny_body_checkpoint),
        "sam3d_body_mode": "full",
        "sam3d_device": "cpu",
        "sam3d_dtype": "float32",
        "sam3d_reconstructor": "geometric",
        "sam3d_body_markers_topic": "/people_markers",
    }
    return perception_graph(frame_folder, 4.0, arguments)


class Heard:
    """What the node said since this listener was made."""

    def __init__(self, probe: Any) -> None:
        self.bodies = probe.hear(BodyArray, f"{NODE}/bodies", RELIABLE)
        self.meshes = probe.hear(BodyMesh, f"{NODE}/meshes", LATCHED)
        self.markers = probe.hear(MarkerArray, "/people_markers", LATCHED)
        self.tf = probe.hear(TFMessage, "/tf", RELIABLE)
        self.diagnostics = probe.hear(DiagnosticArray, "/diagnostics", 10)

    def complete(self) -> BodyArray | None:
        """The newest message of both people whose frames, meshes and markers have come, too."""
        for message in reversed(list(self.bodies)):
            stamp = message.header.stamp
            rest = self.frames_at(stamp), self.lines_at(stamp), len(self.meshes_at(stamp)) == len(PEOPLE)
            if len(message.bodies) == len(PEOPLE) and all(rest):
                return message
        return None

    def frames_at(self, stamp: Any) -> dict[str, tuple[str, Similarity]]:
        """child frame -> (parent, parent_from_child) of the people at a stamp."""
        return {
            t.child_frame_id: (t.header.frame_id, similarity_from_transform(t.transform))
            for message in list(self.tf)
            for t in message.transforms
            if t.header.stamp == stamp and (name := t.child_frame_id)[-1].isdigit() and "object_" not in name
        }

    def meshes_at(self, stamp: Any) -> dict[int, BodyMesh]:
        return {m.id: m for m in list(self.meshes) if m.header.stamp == stamp}

    def lines_at(self, stamp: Any) -> dict[tuple[str, int], Marker]:
        """Markers that carry a stamp of their own: all but the surfaces."""
        return {
            (m.ns, m.id): m
            for message in list(self.markers)
            for m in message.markers
            if m.header.stamp == stamp
        }

    def shown(self) -> set[tuple[str, int]]:
        """The markers that a viewer has now."""
        present: set[tuple[str, int]] = set()
        for message in list(self.markers):
            for m in message.markers:
                (present.discard if m.action == Marker.DELETE else present.add)((m.ns, m.id))
        return present

    def values(self, kind: str) -> dict[str, str]:
        """What the newest status of a kind says."""
        return told_by(NODE, kind, self.diagnostics)


@pytest.fixture(scope="module")
def heard(probe: Any) -> Heard:
    return Heard(probe)


@pytest.fixture(scope="module")
def seen(heard: Heard, wait_for: Any) -> BodyArray:
    """A BodyArray with both people, and everything that belongs to it."""
    message = wait_for(heard.complete, PATIENCE)
    assert message, f"{len(heard.bodies)} arrays, {len(heard.meshes)} meshes came; {heard.values('faults')}"
    return message


@pytest.fixture
def node(call: Any) -> NodeServices:
    return NodeServices(NODE, call)


def from_the_left(message: BodyArray) -> list[ReceivedBody]:
    return sorted(bodies_from_message(message), key=lambda body: body.header_from_body.translation[0])


def pairs(seen: BodyArray, expected: list[BodyEstimate]) -> list[tuple[ReceivedBody, BodyEstimate]]:
    """Each person as received and as expected."""
    truth = sorted(expected, key=lambda body: body.camera_from_body.translation[0])
    return list(zip(from_the_left(seen), truth, strict=True))


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_people_arrive_as_the_reconstructor_answers(seen: BodyArray, expected: list[BodyEstimate]) -> None:
    assert seen.header.frame_id == "camera_optical_frame"
    assert (len(seen.keypoint_names), len(seen.joint_names)) == (70, 127)
    assert {body.id for body in seen.bodies} == {1, 2}
    for body, truth in pairs(seen, expected):
        assert body.label == "person"
        assert body.skeleton == truth.skeleton
        assert np.allclose(body.keypoints, truth.keypoints, atol=MILLIMETRE)
        assert np.allclose(body.joints, truth.joints, atol=MILLIMETRE)
        assert np.allclose(body.header_from_body.matrix(), truth.camera_from_body.matrix(), atol=MILLIMETRE)
        assert np.allclose(body.rig.model, truth.rig.model, atol=1e-4)
        assert (body.verdict.state, body.verdict.scale_source) == (
            truth.verdict.state,
            truth.verdict.scale_source,
        )


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_the_frames_are_one_tree_that_ends_at_the_joints(seen: BodyArray, heard: Heard) -> None:
    frames = heard.frames_at(seen.header.stamp)

    def from_root(name: str) -> Similarity:
        """header_from_frame; fails where the tree is not connected to the frame of the message."""
        if name == seen.header.frame_id:
            return Similarity()
        parent, transform = frames[name]
        return from_root(parent) @ transform

    received = bodies_from_message(seen)
    names = {f"{joint}_{body.id}" for body in received for joint in seen.joint_names}
    assert set(frames) == names | {f"body_{body.id}" for body in received}
    for body in received:
        pose = from_root(f"body_{body.id}")
        assert np.allclose(pose.matrix(), body.header_from_body.matrix(), atol=MILLIMETRE)
        joints = [from_root(f"{joint}_{body.id}") for joint in seen.joint_names]
        assert np.allclose([j.translation for j in joints], body.joints, atol=MILLIMETRE)
        assert np.allclose([j.rotation for j in joints], body.joint_rotations, atol=MILLIMETRE)
        # REP-155: between the hips, the head up.
        hips = [seen.keypoint_names.index(f"{side}_hip") for side in ("left", "right")]
        shoulders = [seen.keypoint_names.index(f"{side}_shoulder") for side in ("left", "right")]
        local = pose.apply_inverse(body.keypoints)
        assert np.allclose(local[hips].mean(axis=0), 0.0, atol=MILLIMETRE)
        assert np.allclose(local[shoulders].mean(axis=0)[:2], 0.0, atol=MILLIMETRE)
        assert local[shoulders].mean(axis=0)[2] > 0
        assert local[hips[0], 1] > 0 > local[hips[1], 1]


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_markers_and_meshes_lie_where_the_bodies_are(
    seen: BodyArray, heard: Heard, expected: list[BodyEstimate], wait_for: Any
) -> None:
    stamp = seen.header.stamp
    frames, lines, meshes = heard.frames_at(stamp), heard.lines_at(stamp), heard.meshes_at(stamp)
    links = np.array(seen.links).reshape(-1, 2)
    for body, truth in pairs(seen, expected):
        drawn = np.array([(p.x, p.y, p.z) for p in lines["skeleton", body.id].points])
        assert np.allclose(drawn.reshape(-1, 2, 3), body.keypoints[links], atol=MILLIMETRE)
        spheres = [(p.x, p.y, p.z) for p in lines["joints", body.id].points]
        assert np.allclose(spheres, body.keypoints, atol=MILLIMETRE)
        message = meshes[body.id]
        assert message.header.frame_id == f"body_{body.id}"
        assert message.version == body.mesh_version
        placed = frames[f"body_{body.id}"][1].apply(mesh_from_message(message).vertices)
        wanted = truth.camera_from_body.apply(truth.mesh.vertices)
        assert np.allclose(placed, wanted, atol=MILLIMETRE)
    assert wait_for(lambda: heard.shown() == {(ns, body.id) for ns in NAMESPACES for body in seen.bodies})


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_the_command_line_writes_the_people_that_the_graph_tells(
    seen: BodyArray, tiny_body_checkpoint: Path, frame_folder: Path, tmp_path: Path
) -> None:
    weights = ("--body-checkpoint", tiny_body_checkpoint, "--body-mode", "full", "--device", "cpu")
    options = ("--bodies", *weights, "--reconstructor", "geometric")
    done = run_process("reconstruct", frame_folder, "--out", tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "out" / "bodies.json").read_text())["bodies"]
    written.sort(key=lambda body: body["translation"][0])
    for body, record in zip(from_the_left(seen), written, strict=True):
        assert tuple(record["keypoints"]) == body.skeleton.keypoints
        assert np.allclose(list(record["keypoints"].values()), body.keypoints, atol=MILLIMETRE)
        joints = [record["joints"][name]["position"] for name in body.skeleton.joints]
        assert np.allclose(joints, body.joints, atol=MILLIMETRE)
        pose = Similarity(np.array(record["rotation"]), np.array(record["translation"]))
        assert np.allclose(pose.matrix(), body.header_from_body.matrix(), atol=MILLIMETRE)


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_diagnostics_tell_the_bodies_and_ids_stay(seen: BodyArray, heard: Heard, wait_for: Any) -> None:
    state = wait_for(lambda: (v := heard.values("state")).get("bodies") == "2" and v)
    assert state["reconstructor"] == "sam3d_body"
    assert "cpu" in state["reconstructor note"]
    assert len(heard.bodies) >= 2 or wait_for(lambda: len(heard.bodies) >= 2)
    assert {body.id for message in heard.bodies for body in message.bodies} == {1, 2}


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_everybody_leaves_with_the_node_and_missing_weights_are_named(
    seen: BodyArray, heard: Heard, node: NodeServices, wait_for: Any, tmp_path: Path
) -> None:
    assert node.change(Transition.TRANSITION_DEACTIVATE)
    assert wait_for(lambda: heard.shown() == set())
    assert wait_for(lambda: not heard.bodies[-1].bodies)
    assert node.change(Transition.TRANSITION_CLEANUP)
    node.put("body.checkpoint", str(tmp_path))
    assert not node.change(Transition.TRANSITION_CONFIGURE)
    fault = wait_for(lambda: heard.values("faults").get("missing_weights"))
    assert fault
    assert "sam3d-ros checkpoints download" in fault
