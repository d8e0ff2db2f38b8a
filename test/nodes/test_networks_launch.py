"""The networks in the graph: perception.launch.py on a checkpoint of the official layout, seen from another process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import launch_pytest
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from launch import LaunchDescription
from lifecycle_msgs.msg import Transition
from perception_graph import PATIENCE, NodeServices, perception_graph, told_by, write_frame
from sensor_msgs.msg import PointCloud2

from sam3d_ros.msg import ObjectArray, ObjectMesh, Verdict
from sam3d_ros.ros.object_messages import mesh_from_message
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.splat_clouds import SPLAT_FIELDS

pytest.importorskip("torch", reason="requirements/models.txt is not installed")

NODE = "/sam3d_objects"
RELIABLE, LATCHED = qos_profile("reliable"), qos_profile("latched", depth=100)


@pytest.fixture(scope="module")
def frame_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two squares before a wall."""
    labels = np.zeros((120, 160), np.uint8)
    labels[20:60, 20:60] = 3
    labels[50:100, 90:140] = 8
    folder = tmp_path_factory.mktemp("frames") / "squares"
    return write_frame(folder, labels, depths=(0.9, 1.0), focal=140.0)


@launch_pytest.fixture(scope="module")
def graph(own_domain: None, tiny_checkpoint: Path, frame_folder: Path) -> LaunchDescription:
    """The launch file as a user includes it; its `auto` has to find the weights that `checkpoint` names."""
    arguments = {
        "sam3d_checkpoint": str(tiny_checkpoint),
        "sam3d_device": "cpu",
        "sam3d_dtype": "float32",
        "sam3d_memory": "high",
        "sam3d_steps": "2",
        "sam3d_refinement_steps": "2",
        "sam3d_hypotheses": "3",
        "sam3d_outputs": "mesh,gaussians_4",
    }
    return perception_graph(frame_folder, 5.0, arguments)


class Heard:
    """What the node said since this listener was made."""

    def __init__(self, probe: Any) -> None:
        self.objects = probe.hear(ObjectArray, f"{NODE}/objects", RELIABLE)
        self.meshes = probe.hear(ObjectMesh, f"{NODE}/meshes", LATCHED)
        self.gaussians = probe.hear(PointCloud2, f"{NODE}/gaussians", LATCHED)
        self.diagnostics = probe.hear(DiagnosticArray, "/diagnostics", 10)

    def values(self, kind: str) -> dict[str, str]:
        """What the newest status of a kind says."""
        return told_by(NODE, kind, self.diagnostics)

    def newest(self, count: int) -> ObjectArray | None:
        """The newest message, if it has so many objects."""
        return self.objects[-1] if self.objects and len(self.objects[-1].objects) == count else None


@pytest.fixture(scope="module")
def heard(probe: Any) -> Heard:
    return Heard(probe)


@pytest.fixture
def node(call: Any) -> NodeServices:
    return NodeServices(NODE, call)


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_the_networks_make_meshes_and_splats(heard: Heard, wait_for: Any, tiny_checkpoint: Path) -> None:
    message = wait_for(lambda: heard.newest(2), PATIENCE)
    assert message, f"{len(heard.objects)} arrays came; {heard.values('faults')}"
    state = wait_for(lambda: heard.values("state"))
    assert state["reconstructor"] == "sam3d"
    assert state["reconstructor note"].startswith(f"auto: weights in {tiny_checkpoint}, on cpu in float32")
    assert "2 + 2 steps" in state["reconstructor note"]
    assert wait_for(lambda: {m.id for m in heard.meshes} == {thing.id for thing in message.objects})
    for mesh_message in heard.meshes:
        mesh = mesh_from_message(mesh_message)
        assert len(mesh.triangles) > 0
        assert np.abs(mesh.vertices).max() <= 0.5
        assert len(np.unique(mesh.colors, axis=0)) > 1
    for thing in message.objects:
        assert thing.verdict.scale_source == Verdict.DEPTH
        assert thing.verdict.point_count > 100
    frames = {f"object_{thing.id}" for thing in message.objects}
    assert wait_for(lambda: frames <= {cloud.header.frame_id for cloud in heard.gaussians})
    for cloud in heard.gaussians:
        assert cloud.width > 0
        assert [field.name for field in cloud.fields] == list(SPLAT_FIELDS)


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_weights_may_leave_while_the_node_rests(heard: Heard, node: NodeServices, wait_for: Any) -> None:
    node.put("release_on_deactivate", True)
    assert node.change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    heard.objects.clear()
    assert node.change(
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_ACTIVATE,
    )
    assert wait_for(lambda: heard.newest(2), PATIENCE)


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_missing_weights_are_a_fault_with_the_remedy(
    heard: Heard, node: NodeServices, wait_for: Any, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    assert node.change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    node.put("reconstructor", "sam3d")
    node.put("checkpoint", str(tmp_path))
    assert not node.change(Transition.TRANSITION_CONFIGURE)
    fault = wait_for(lambda: heard.values("faults").get("missing_weights"))
    assert fault
    assert f"sam3d-ros checkpoints download {tmp_path}" in fault
    # With auto the graph works without weights, and says what it does.
    node.put("reconstructor", "auto")
    heard.objects.clear()
    assert node.change(Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    assert wait_for(lambda: heard.newest(2), PATIENCE)
    assert wait_for(lambda: heard.values("state").get("reconstructor") == "geometric")
    assert "checkpoints download" in heard.values("state")["reconstructor note"]
    # And the weights are taken when they have come.
    assert node.change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    node.put("checkpoint", str(tiny_checkpoint))
    assert node.change(Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
    assert wait_for(lambda: heard.values("state").get("reconstructor") == "sam3d")


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_weights_that_break_while_the_node_runs_are_named(
    heard: Heard, node: NodeServices, wait_for: Any, tmp_path: Path, tiny_checkpoint: Path
) -> None:
    """With memory `low` they are read anew for each batch; the graph goes on when they are whole again."""
    for path in tiny_checkpoint.glob("sam3d_objects*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert node.change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
    node.put("checkpoint", str(tmp_path))
    node.put("memory", "low")
    assert node.change(Transition.TRANSITION_CONFIGURE)
    file = tmp_path / "sam3d_objects_structure.safetensors"
    whole = file.read_bytes()
    file.write_bytes(b"\xff" * len(whole))
    heard.objects.clear()
    heard.diagnostics.clear()
    assert node.change(Transition.TRANSITION_ACTIVATE)
    fault = wait_for(
        lambda: "structure.safetensors" in (f := heard.values("faults").get("missing_weights", "")) and f,
        PATIENCE,
    )
    assert fault, heard.values("faults")
    assert "checkpoints convert" in fault
    file.write_bytes(whole)
    assert wait_for(lambda: heard.newest(2), PATIENCE)
