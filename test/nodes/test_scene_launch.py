"""A person and a box as the running graph saves them: the file against what is published, over DDS."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import launch_pytest
import numpy as np
import pytest
from launch import LaunchDescription
from lifecycle_msgs.msg import Transition
from perception_graph import PATIENCE, NodeServices, perception_graph
from person_and_box import PERSON, parts_of, true_depth, write_frame

from sam3d_ros.msg import BodyArray, BodyMesh, ObjectArray, ObjectMesh
from sam3d_ros.ros.body_messages import bodies_from_message
from sam3d_ros.ros.object_messages import mesh_from_message, objects_from_message
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import nanoseconds
from sam3d_ros.srv import SaveScene

pytest.importorskip("torch", reason="requirements/models.txt is not installed")

OBJECTS, BODIES = "/sam3d_objects", "/sam3d_bodies"
RELIABLE, LATCHED = qos_profile("reliable"), qos_profile("latched", depth=100)
#: The box rests, but every image gives it a pose of its own: so far apart are the published one and that of the file.
TOLERANCE = 5e-3
#: Units of the depth image to a metre of the person as the camera suggests them.
UNITS = 0.6
#: Both nodes from active to unconfigured, and back.
DOWN = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
UP = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)


@launch_pytest.fixture(scope="module")
def graph(
    own_domain: None, tiny_body_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> LaunchDescription:
    """Both nodes in one process, and a camera that plays one frame."""
    root = tmp_path_factory.mktemp("scene")
    depth = true_depth(tiny_body_checkpoint, root / "scratch")
    frame = write_frame(root / "frame", UNITS * depth)
    (frame / "people.json").write_text(json.dumps({"people": [{"id": PERSON}]}))
    arguments = {
        "sam3d_bodies": "true",
        "sam3d_body_checkpoint": str(tiny_body_checkpoint),
        "sam3d_body_mode": "body",
        "sam3d_device": "cpu",
        "sam3d_dtype": "float32",
        "sam3d_reconstructor": "geometric",
        "sam3d_relative_depth": "true",
        "sam3d_body_markers_topic": "/people_markers",
    }
    return perception_graph(frame, 4.0, arguments)


class Heard:
    """What both nodes said since this listener was made."""

    def __init__(self, probe: Any) -> None:
        self.objects = probe.hear(ObjectArray, f"{OBJECTS}/objects", RELIABLE)
        self.object_meshes = probe.hear(ObjectMesh, f"{OBJECTS}/meshes", LATCHED)
        self.bodies = probe.hear(BodyArray, f"{BODIES}/bodies", RELIABLE)
        self.body_meshes = probe.hear(BodyMesh, f"{BODIES}/meshes", LATCHED)

    def parts(self, frame_id: str, after: int = 0) -> dict[str, np.ndarray] | None:
        """What is published of one image after a stamp as the parts of a scene, in a frame; None while some lacks.

        Not of the newest image: another one may be in the file.
        """
        objects = {
            nanoseconds(m.header.stamp): m for m in list(self.objects) if m.header.frame_id == frame_id
        }
        meshes = {(m.id, m.version): m for m in list(self.object_meshes)}
        surfaces = {(nanoseconds(m.header.stamp), m.id): m for m in list(self.body_meshes)}
        for message in reversed(list(self.bodies)):
            stamp = nanoseconds(message.header.stamp)
            if stamp <= after or message.header.frame_id != frame_id or not message.bodies:
                continue
            found = {}
            for body in bodies_from_message(message):
                if (stamp, body.id) in surfaces:
                    mesh = mesh_from_message(surfaces[stamp, body.id])
                    found[f"body_{body.id}"] = body.header_from_body.apply(mesh.vertices)
            for thing in objects_from_message(objects[stamp]) if stamp in objects else ():
                if (thing.id, thing.mesh_version) in meshes:
                    mesh = mesh_from_message(meshes[thing.id, thing.mesh_version])
                    found[f"object_{thing.id}"] = thing.header_from_object.apply(mesh.vertices)
            if len(found) == 2:
                return found
        return None

    def newest(self) -> int:
        """The stamp of the newest image that anything was said of, nanoseconds."""
        return max((nanoseconds(m.header.stamp) for m in [*self.objects, *self.bodies]), default=0)


@pytest.fixture(scope="module")
def heard(probe: Any) -> Heard:
    return Heard(probe)


@pytest.fixture
def save(call: Any, scene_folder: Path) -> Any:
    """Asks a node for the scene; the answer and what is in the file."""

    def ask(node: str, *, name: str = "scene.glb") -> tuple[SaveScene.Response, dict[str, np.ndarray]]:
        path = scene_folder / name
        path.unlink(missing_ok=True)
        answer = call(SaveScene, f"{node}/save_scene", SaveScene.Request(path=name))
        assert answer.success == path.exists(), answer.message
        return answer, parts_of(path) if path.exists() else {}

    return ask


@pytest.fixture
def save_all(save: Any, wait_for: Any) -> Any:
    """Like `save`, once both are in the file: the objects of the newest people may be a moment late."""

    def ask(node: str) -> tuple[SaveScene.Response, dict[str, np.ndarray]]:
        answer, parts = wait_for(lambda: whole((found := save(node))[1]) and found, PATIENCE) or save(node)
        assert whole(parts), answer.message
        return answer, parts

    return ask


@pytest.fixture
def settings(call: Any, heard: Heard) -> Any:
    """Sets a parameter of some nodes, which are configured anew; the newest stamp before they are active again."""

    def change(name: str, value: bool | str, *nodes: str) -> int:
        services = [NodeServices(node, call) for node in nodes]
        for service in services:
            assert service.change(*DOWN)
            service.put(name, value)
        stamp = heard.newest()
        assert all(service.change(*UP) for service in services)
        return stamp

    return change


def whole(parts: dict[str, np.ndarray]) -> bool:
    """Whether there are a person and a box."""
    return {name.split("_")[0] for name in parts} == {"body", "object"}


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_relative_depth_takes_the_scale_of_the_person(
    heard: Heard, save: Any, save_all: Any, call: Any, wait_for: Any
) -> None:
    published = wait_for(lambda: heard.parts("camera_optical_frame"), PATIENCE)
    assert published
    answer, parts = save_all(OBJECTS)
    assert set(parts) == set(published)
    told = re.search(r"objects have the scale of body_\d+: (\S+) units of depth to a metre", answer.message)
    assert told, answer.message
    assert float(told[1]) == pytest.approx(UNITS, rel=0.02)
    for name, vertices in published.items():
        # The person is published in metres, the box in units of the depth image.
        unit = 1.0 if name.startswith("body") else UNITS
        np.testing.assert_allclose(parts[name] * (1, -1, -1), vertices / unit, atol=0.02)
    assert NodeServices(BODIES, call).change(Transition.TRANSITION_DEACTIVATE)
    answer, parts = save(OBJECTS)
    assert not answer.success and parts == {}
    assert "the depth is relative, and nobody gives the objects a scale" in answer.message
    assert NodeServices(BODIES, call).change(Transition.TRANSITION_ACTIVATE)


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_both_nodes_write_what_both_publish(
    heard: Heard, save_all: Any, settings: Any, wait_for: Any
) -> None:
    before = settings("relative_depth", False, OBJECTS, BODIES)
    published = wait_for(lambda: heard.parts("camera_optical_frame", before), PATIENCE)
    assert published
    for node in (OBJECTS, BODIES):
        answer, parts = save_all(node)
        assert set(parts) == set(published) and answer.object_count == 1
        for name, vertices in published.items():
            # The glTF camera looks along -z, its y is up.
            np.testing.assert_allclose(parts[name], vertices * (1, -1, -1), atol=TOLERANCE)
        told = re.fullmatch(
            r"body_\d+ is (\d+) mm and ([+-]\d+\.\d) % from the points measured on it, residual (\d+) mm",
            answer.message,
        )
        assert told, answer.message
        # The depth image is that of the same person, only smaller: the surface fits it.
        assert float(told[1]) <= 5 and abs(float(told[2])) <= 0.5 and float(told[3]) <= 5


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_a_fixed_frame_has_to_be_that_of_both(
    heard: Heard, save: Any, save_all: Any, settings: Any, wait_for: Any
) -> None:
    save_all(OBJECTS)
    settings("target_frame", "map", BODIES)
    answer, parts = wait_for(lambda: (a := save(OBJECTS))[0].message and a, PATIENCE)
    assert answer.success and [name.split("_")[0] for name in parts] == ["object"]
    assert (
        "they are in map, the objects in camera_optical_frame, give both nodes one target_frame"
        in answer.message
    )
    before = settings("target_frame", "map", OBJECTS)
    published = wait_for(lambda: heard.parts("map", before), PATIENCE)
    assert published
    answer, parts = save_all(BODIES)
    assert set(parts) == set(published)
    for name, vertices in published.items():
        x, y, z = vertices.T
        np.testing.assert_allclose(parts[name], np.stack([x, z, -y], axis=1), atol=TOLERANCE)
    settings("target_frame", "", OBJECTS, BODIES)


@pytest.mark.launch(fixture=graph)
@pytest.mark.timeout(200)
def test_a_node_that_left_is_not_in_the_file(save: Any, save_all: Any, call: Any) -> None:
    save_all(BODIES)
    assert NodeServices(OBJECTS, call).change(Transition.TRANSITION_DEACTIVATE)
    answer, parts = save(BODIES)
    assert answer.success and answer.object_count == 0
    assert [name.split("_")[0] for name in parts] == ["body"]
    assert NodeServices(BODIES, call).change(Transition.TRANSITION_DEACTIVATE)
    answer, parts = save(BODIES)
    assert not answer.success and "no mesh yet" in answer.message
