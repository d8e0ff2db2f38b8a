"""What objects stand on, seen from another process: topic, frames, markers and the objects agree on it."""

from __future__ import annotations

from typing import Any

import launch_pytest
import numpy as np
import pytest
from launch import LaunchDescription
from perception_graph import PATIENCE, perception_graph
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.msg import ObjectArray, SupportSurfaceArray
from sam3d_ros.ros.object_messages import objects_from_message
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.surface_messages import surfaces_from_message
from sam3d_ros.ros.transforms import similarity_from_pose, similarity_from_transform
from sam3d_ros.simulation.export import write_frame_folder
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import random_scene
from sam3d_ros.simulation.sensors import DepthSensor
from sam3d_ros.simulation.trajectories import viewpoint

NODE = "/sam3d_objects"
RELIABLE, LATCHED = qos_profile("reliable"), qos_profile("latched", depth=100)
CAMERA = Camera.from_field_of_view(320, 240, np.deg2rad(60.0))
#: Of the camera in the world, whose table has its top at z = 0.
WORLD_FROM_CAMERA = viewpoint(0.9, 0.3, np.deg2rad(40.0))
OBJECTS = 3


@pytest.fixture(scope="module", autouse=True)
def _domain(own_domain: None) -> None:
    """The graph is on the domain of the test."""


@launch_pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> LaunchDescription:
    """A simulated table, played."""
    folder = tmp_path_factory.mktemp("surfaces") / "frame"
    scene = random_scene(4, OBJECTS)
    rendering = render(scene, CAMERA, WORLD_FROM_CAMERA)
    write_frame_folder(
        folder, scene, rendering, depth=DepthSensor().measure(rendering, np.random.default_rng(4))
    )
    return perception_graph(folder, 5.0, {})


@pytest.mark.launch(fixture=graph)
def test_objects_stand_on_the_table_and_all_outputs_agree_on_it(probe: Any, wait_for: Any) -> None:
    objects = probe.hear(ObjectArray, f"{NODE}/objects", RELIABLE)
    surfaces = probe.hear(SupportSurfaceArray, f"{NODE}/surfaces", RELIABLE)
    markers = probe.hear(MarkerArray, f"{NODE}/markers", LATCHED)
    tf = probe.hear(TFMessage, "/tf", RELIABLE)

    def agreed() -> tuple[ObjectArray, SupportSurfaceArray] | None:
        for said in reversed(list(objects)):
            told = next((m for m in reversed(list(surfaces)) if m.header == said.header), None)
            if told is not None and told.revision == said.revision and len(said.objects) == OBJECTS:
                shown = any(m.header == said.header for message in list(markers) for m in message.markers)
                if shown and any(t.header == said.header for message in list(tf) for t in message.transforms):
                    return said, told
        return None

    found = wait_for(agreed, PATIENCE)
    assert found is not None, f"{len(objects)} arrays of objects and {len(surfaces)} of surfaces came"
    said, told = found
    assert (told.session, told.revision) == (said.session, said.revision)
    known = {surface.id: surface for surface in surfaces_from_message(told)}
    things = objects_from_message(said)
    (table_id,) = {thing.surface_id for thing in things}
    table = known[table_id]
    assert table.object_ids == tuple(thing.id for thing in things)
    world_from_table = WORLD_FROM_CAMERA @ table.header_from_surface
    assert abs(world_from_table.translation[2]) < 0.005
    assert world_from_table.rotation[2, 2] > np.cos(np.deg2rad(1.0))

    def same(pose: Similarity, surface: int) -> bool:
        return bool(np.allclose(pose.matrix(), known[surface].header_from_surface.matrix(), atol=1e-6))

    frames = {
        int(t.child_frame_id.removeprefix("surface_")): similarity_from_transform(t.transform)
        for message in list(tf)
        for t in message.transforms
        if t.header == said.header and t.child_frame_id.startswith("surface_")
    }
    shown = {
        m.id: similarity_from_pose(m.pose)
        for message in list(markers)
        for m in message.markers
        if m.header == said.header and m.ns == "surface"
    }
    assert set(frames) == set(shown) == set(known)
    assert all(same(frames[surface], surface) and same(shown[surface], surface) for surface in known)
