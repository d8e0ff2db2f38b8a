"""Cameras of other kinds: compressed streams with a slow segmenter, a moving camera, a LiDAR."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from perception_graph import write_frame
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

from sam3d_ros.msg import ObjectArray
from sam3d_ros.ros.object_messages import objects_from_message
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.transforms import similarity_from_pose, similarity_from_transform

RELIABLE = qos_profile("reliable")
#: The scene and its camera take the player some seconds to render.
PATIENCE = 90.0


class Graph:
    """A player and the graph as processes, and what they say."""

    def __init__(self, probe: Any, run: Any, player: dict[str, Any], graph: dict[str, Any]) -> None:
        self.objects = probe.hear(ObjectArray, "/sam3d_objects/objects", RELIABLE)
        self.detections = probe.hear(Detection3DArray, "/sam3d_objects/detections", RELIABLE)
        self.truth = probe.hear(Detection3DArray, "/frame_player/truth", RELIABLE)
        self.tf = probe.hear(TFMessage, "/tf", RELIABLE)
        self._processes = [run("perception", *arguments(graph)), run("frame_player", *arguments(player))]

    def full(self, count: int) -> list[ObjectArray]:
        """The arrays that show so many objects."""
        return [message for message in list(self.objects) if len(message.objects) == count]

    def stop(self) -> None:
        """End the processes, which must have lived until now."""
        assert [process.alive() for process in self._processes] == [True, True], self.logs()
        assert [process.stop() for process in self._processes] == [0, 0], self.logs()

    def logs(self) -> str:
        """What the processes printed."""
        return "\n".join(process.log.read_text() for process in self._processes)

    def true_centers(self, stamp: Any) -> dict[str, np.ndarray]:
        """Class name -> centre of the true box in the optical frame at a stamp."""
        message = next((m for m in list(self.truth) if m.header.stamp == stamp), None)
        return {} if message is None else centers(message)


def arguments(parameters: dict[str, Any]) -> list[str]:
    """Parameters as a command line."""
    given = [text for name, value in parameters.items() for text in ("-p", f"{name}:={value}")]
    return ["--ros-args", *given] if given else []


def stamp_of(message: Any) -> int:
    """The stamp of a message, nanoseconds."""
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def centers(message: Detection3DArray) -> dict[str, np.ndarray]:
    """Class name -> centre of the box, in the frame of the message."""
    return {
        d.results[0].hypothesis.class_id: similarity_from_pose(d.bbox.center).translation
        for d in message.detections
    }


@pytest.fixture
def start(late_probe: Any, run: Any) -> Any:
    """Starts a graph; it is stopped at the end of the test."""
    started: list[Graph] = []

    def begin(player: dict[str, Any], graph: dict[str, Any]) -> Graph:
        started.append(Graph(late_probe, run, player, graph))
        return started[-1]

    yield begin
    for graph in started:
        graph.stop()


def test_pictures_of_another_size_come_with_labels_and_depth_of_their_moment(
    late_probe: Any, run: Any, wait_for: Any
) -> None:
    sensor_data = qos_profile("sensor_data")
    heard = {name: late_probe.hear(Image, f"/{name}", sensor_data) for name in ("image", "labels", "depth")}
    infos = late_probe.hear(CameraInfo, "/camera_info", sensor_data)
    player = {
        "width": 320,
        "height": 180,
        "object_count": 2,
        "rate": 20.0,
        "sensor": "depth",
        "label_delay": 0.1,
    }
    process = run("frame_player", *arguments(player))

    def complete() -> set[int]:
        """Stamps of which everything came, in nanoseconds."""
        stamps = [{stamp_of(message) for message in list(kept)} for kept in (*heard.values(), infos)]
        return set.intersection(*stamps)

    assert wait_for(lambda: len(complete()) >= 20, PATIENCE), process.log.read_text()
    assert process.stop() == 0, process.log.read_text()
    for name, encoding in (("image", "rgb8"), ("labels", "mono16"), ("depth", "32FC1")):
        assert {(m.width, m.height, m.encoding) for m in heard[name]} == {(320, 180, encoding)}
    assert {(message.width, message.height) for message in infos} == {(320, 180)}


def test_compressed_streams_and_a_slow_segmenter_that_renumbers(
    start: Callable[..., Graph], wait_for: Any
) -> None:
    count = 4
    graph = start(
        {
            "object_count": count,
            "seed": 5,
            "rate": 8.0,
            "compressed": True,
            "label_delay": 0.3,
            "label_encoding": "32SC1",
            "renumber": True,
        },
        {"image_transport": "compressed", "depth_transport": "compressedDepth"},
    )
    assert wait_for(lambda: len(graph.full(count)) >= 15, PATIENCE), graph.logs()
    ids = Counter(tuple(thing.id for thing in message.objects) for message in graph.full(count))
    assert len(ids) == 1, f"ids changed although only the numbers of the instances did: {ids}"


def test_objects_stand_still_in_the_fixed_frame_while_the_camera_moves(
    start: Callable[..., Graph], wait_for: Any
) -> None:
    count = 3
    graph = start(
        {"object_count": count, "seed": 11, "rate": 6.0, "camera_motion": "arc"}, {"target_frame": "map"}
    )
    assert wait_for(lambda: len(graph.full(count)) >= 40, PATIENCE), graph.logs()
    arrays = graph.full(count)[10:]
    assert {message.header.frame_id for message in arrays} == {"map"}
    assert len({tuple(thing.id for thing in message.objects) for message in arrays}) == 1
    poses = {
        t.header.stamp.sec * 10**9 + t.header.stamp.nanosec: similarity_from_transform(t.transform)
        for message in list(graph.tf)
        for t in message.transforms
        if (t.header.frame_id, t.child_frame_id) == ("map", "camera_optical_frame")
    }
    cameras = np.array([pose.translation for pose in poses.values()])
    assert np.ptp(cameras, axis=0).max() > 0.3, "the camera did not move"
    places = np.array([[t.header_from_object.translation for t in objects_from_message(m)] for m in arrays])
    spread = np.linalg.norm(places - np.median(places, axis=0), axis=-1)
    assert np.percentile(spread, 90) < 0.03, (
        f"objects wander by {spread.max():.3f} m in a frame that is fixed"
    )
    errors = []
    for message in list(graph.detections):
        stamp = message.header.stamp
        pose = poses.get(stamp.sec * 10**9 + stamp.nanosec)
        truth = graph.true_centers(stamp)
        if pose is not None and truth:
            errors += [np.linalg.norm(at - pose.apply(truth[name])) for name, at in centers(message).items()]
    assert np.median(errors) < 0.03, f"objects are {np.median(errors):.3f} m from where they really are"


def test_every_frame_is_played_with_its_own_poses(
    late_probe: Any, run: Any, wait_for: Any, tmp_path: Path
) -> None:
    for height in (1.0, 2.0):
        frame = write_frame(
            tmp_path / f"{height:g}", np.ones((8, 8), np.uint8), depths=(1.0, 2.0), focal=10.0
        )
        camera = json.loads((frame / "camera.json").read_text())
        camera_from_lidar = np.eye(4)
        camera_from_lidar[1, 3] = height
        fixed_from_camera = np.eye(4)
        fixed_from_camera[0, 3] = 10.0 * height
        poses = {
            "camera_from_lidar": camera_from_lidar.tolist(),
            "fixed_from_camera": fixed_from_camera.tolist(),
        }
        (frame / "camera.json").write_text(json.dumps(camera | poses))
        # The cloud tells which frame it is of.
        np.savez(frame / "lidar.npz", points=np.full((round(height), 4), 3.0, np.float32))
    clouds = late_probe.hear(PointCloud2, "/points", qos_profile("sensor_data"))
    tf = late_probe.hear(TFMessage, "/tf", qos_profile("reliable"))
    process = run("frame_player", *arguments({"frames": str(tmp_path), "rate": 20.0}))

    def played() -> set[tuple[int, float, float]]:
        """Points of a cloud, height of the LiDAR at its stamp, and place of the camera."""
        told = [pose for message in list(tf) for pose in message.transforms]
        lidars = {stamp_of(p): p.transform.translation.y for p in told if p.child_frame_id == "lidar"}
        cameras = {stamp_of(p): p.transform.translation.x for p in told if p.header.frame_id == "map"}
        stamps = [(c.width * c.height, stamp_of(c)) for c in list(clouds)]
        return {(n, lidars[at], cameras[at]) for n, at in stamps if at in lidars and at in cameras}

    assert wait_for(lambda: len(played()) >= 2, PATIENCE), process.log.read_text()
    assert process.stop() == 0, process.log.read_text()
    assert played() == {(1, 1.0, 10.0), (2, 2.0, 20.0)}


def test_a_lidar_gives_metric_places(start: Callable[..., Graph], wait_for: Any) -> None:
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    frame = Path(os.environ.get("SAM3D_DATA_DIR", default)) / "kitti_a" / "000000"
    if not frame.is_dir():
        message = f"no real frame at {frame}: set SAM3D_DATA_DIR to the folder of the sets"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    graph = start({"frames": frame, "rate": 5.0}, {})
    assert wait_for(lambda: len(graph.full(1)) >= 5 and len(graph.detections) >= 5, PATIENCE), graph.logs()
    found = [message for message in graph.detections if message.detections][-1]
    truth = graph.true_centers(found.header.stamp) or centers(graph.truth[-1])
    error = np.linalg.norm(centers(found)["Pedestrian"] - truth["Pedestrian"])
    assert error < 0.25, f"the pedestrian, 8.4 m away, is {error:.2f} m off"
