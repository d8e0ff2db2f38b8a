"""The node `demo_report`: watches the graph until it has found what there is, and prints how well it did."""

from __future__ import annotations

import json
import math
import statistics
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from geometry_msgs.msg import Vector3
from numpy.typing import NDArray
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection3DArray

from sam3d_ros.geometry.pointmaps import points_from_depth
from sam3d_ros.msg import ObjectArray, ObjectMesh
from sam3d_ros.nodes.demo_pictures import view_from_beside
from sam3d_ros.nodes.demo_table import Box, Judgement, Row, rows, text
from sam3d_ros.nodes.guarded_node import GuardedNode
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.scenes.overlay import draw_overlay
from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.ros.camera_info import camera_from_info
from sam3d_ros.ros.images import depth_from_image, rgb_from_image
from sam3d_ros.ros.object_messages import ReceivedObject, mesh_from_message, objects_from_message
from sam3d_ros.ros.parameters import declare
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.transforms import similarity_from_pose

#: Images and truths kept until the objects found in them arrive, and meshes asked of the past.
MESSAGES_KEPT = 30
#: Period at which the node looks whether it is done, seconds.
CHECK_PERIOD = 0.2

#: Session, id and version of a mesh.
_MeshKey = tuple[int, int, int]


@dataclass(frozen=True)
class ReportParameters(Settings):
    """Parameters of the node."""

    output: str = parameter(
        "demo_output", "Folder for report.json, overlay.png and view.png.", read_only=True
    )
    timeout: float = parameter(
        60.0, "Longest time to wait, seconds.", minimum=1.0, maximum=3600.0, read_only=True
    )
    settle: float = parameter(
        3.0,
        "Time to go on watching once everything is found, seconds.",
        minimum=0.0,
        maximum=600.0,
        read_only=True,
    )


class DemoReport(GuardedNode):
    """Compares `sam3d_objects/objects` and `sam3d_objects/meshes` with `frame_player/truth`.

    It is done when every true object (with no truth: any object) has had a pose and a mesh for `settle` seconds, or
    when the time is up.
    """

    def __init__(self) -> None:
        super().__init__("demo_report")
        self.parameters = declare(self, ReportParameters())
        self.done = False
        self._objects: ObjectArray | None = None
        self._pictured: ObjectArray | None = None
        self._meshes: dict[_MeshKey, ObjectMesh] = {}
        self._mesh_seconds: dict[_MeshKey, float] = {}
        self._pose_seconds: list[float] = []
        self._camera_infos: dict[int, CameraInfo] = {}
        self._images: dict[int, Image] = {}
        self._depths: dict[int, Image] = {}
        self._truths: dict[int, Detection3DArray] = {}
        reliable, sensor_data = qos_profile("reliable"), qos_profile("sensor_data")
        meshes = qos_profile("latched", depth=MESSAGES_KEPT)
        self.create_subscription(ObjectArray, "sam3d_objects/objects", self._take_objects, reliable)
        self.create_subscription(ObjectMesh, "sam3d_objects/meshes", self._take_mesh, meshes)
        for message_type, topic, kept, qos in (
            (CameraInfo, "camera_info", self._camera_infos, sensor_data),
            (Image, "image", self._images, sensor_data),
            (Image, "depth", self._depths, sensor_data),
            (Detection3DArray, "frame_player/truth", self._truths, reliable),
        ):
            self.create_subscription(message_type, topic, partial(_keep, kept), qos)
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._began = self._steady_clock.now()
        self._complete_since: Time | None = None
        self.create_timer(CHECK_PERIOD, self._check, clock=self._steady_clock)

    def table(self) -> list[Row]:
        """What was found at the newest image, beside the truth of that image."""
        found = (
            []
            if self._objects is None
            else [self._judged(thing, self._objects.session) for thing in objects_from_message(self._objects)]
        )
        return rows(found, self._true_boxes())

    def complete(self) -> bool:
        """Whether all that is known to be there has a pose and a mesh."""
        table = self.table()
        meshes = all(not math.isnan(row.mesh_seconds) for row in table if row.object_id is not None)
        return bool(table) and meshes and all(row.object_id is not None for row in table)

    def finish(self) -> int:
        """Print the table and write the files; 0 when everything was found."""
        table, complete = self.table(), self.complete()
        print(f"\n{text(table)}" if table else "\nno object was found and no truth was received")
        if self._pose_seconds:
            median = statistics.median(self._pose_seconds)
            print(f"image stamp to ObjectArray: median {1000 * median:.0f} ms of {len(self._pose_seconds)}")
        folder = Path(self.parameters.output)
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "complete": complete,
            "objects": [asdict(row) for row in table],
            "pose_seconds": self._pose_seconds,
        }
        (folder / "report.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
        written = ["report.json", *self._write_pictures(folder)]
        print(f"written to {folder}: {', '.join(written)}", flush=True)
        if not complete:
            print("FAILED: not every object was found with a pose and a mesh", file=sys.stderr, flush=True)
        return 0 if complete else 1

    def _check(self) -> None:
        now = self._steady_clock.now()
        if not self.complete():
            self._complete_since = None
        elif self._complete_since is None:
            self._complete_since = now
        settled = (
            self._complete_since is not None
            and _seconds(now - self._complete_since) >= self.parameters.settle
        )
        self.done = settled or _seconds(now - self._began) >= self.parameters.timeout

    def _judged(self, thing: ReceivedObject, session: int) -> tuple[Box, Judgement]:
        """The box of an object; without its mesh the centre of the canonical cube stands in for that of the box."""
        key = (session, thing.id, thing.mesh_version)
        center = thing.header_from_object.translation
        if key in self._meshes:
            center = _estimate(thing, self._meshes[key]).center
        verdict = thing.verdict
        judgement = Judgement(verdict.state.name, verdict.reasons, self._mesh_seconds.get(key, math.nan))
        return Box(thing.id, thing.label, center, thing.size), judgement

    def _true_boxes(self) -> list[Box]:
        stamp = _stamp(self._objects) if self._objects is not None else max(self._truths, default=0)
        truth = self._truths.get(stamp)
        if truth is None:
            return []
        return [
            Box(
                int(true.id),
                true.results[0].hypothesis.class_id,
                similarity_from_pose(true.bbox.center).translation,
                _vector(true.bbox.size),
            )
            for true in truth.detections
        ]

    def _write_pictures(self, folder: Path) -> list[str]:
        """Names of the pictures; none without the image that the newest objects were seen in."""
        if self._pictured is None:
            return []
        stamp = _stamp(self._pictured)
        camera = camera_from_info(self._camera_infos[stamp])
        rgb = rgb_from_image(self._images[stamp])
        found = [
            (thing.id, _estimate(thing, mesh))
            for thing in objects_from_message(self._pictured)
            if (mesh := self._meshes.get((self._pictured.session, thing.id, thing.mesh_version))) is not None
        ]
        points = np.full(rgb.shape, np.nan, dtype=np.float32)
        if stamp in self._depths:
            points = points_from_depth(depth_from_image(self._depths[stamp]), camera)
        pictures = {
            "overlay.png": draw_overlay(rgb, camera, found),
            "view.png": view_from_beside(rgb, points, camera, [estimate for _, estimate in found]),
        }
        for name, picture in pictures.items():
            cv2.imwrite(str(folder / name), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        return list(pictures)

    def _take_objects(self, message: ObjectArray) -> None:
        stamp = _stamp(message)
        self._pose_seconds.append((self.get_clock().now().nanoseconds - stamp) / 1e9)
        if stamp in self._truths or not self._truths:
            self._objects = message
        if stamp in self._images and stamp in self._camera_infos:
            self._pictured = message

    def _take_mesh(self, message: ObjectMesh, info: dict[str, int]) -> None:
        key = (message.session, message.id, message.version)
        self._meshes[key] = message
        # The time of its arrival says nothing: a latched mesh may be older than this node.
        self._mesh_seconds[key] = (info["source_timestamp"] - _stamp(message)) / 1e9


def main() -> int:
    """Entry point of the executable `demo_report`: 0 when everything was found, 1 when not."""
    rclpy.init(args=sys.argv)
    node = DemoReport()
    try:
        while not node.done and not node.boundary.given_up:
            rclpy.spin_once(node)
        return node.finish()
    except (KeyboardInterrupt, ExternalShutdownException):
        return 1
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def _keep(kept: dict[int, Any], message: Any) -> None:
    kept[_stamp(message)] = message
    while len(kept) > MESSAGES_KEPT:
        del kept[next(iter(kept))]


def _stamp(message: Any) -> int:
    return Time.from_msg(message.header.stamp).nanoseconds


def _seconds(duration: Duration) -> float:
    return duration.nanoseconds / 1e9


def _vector(message: Vector3) -> NDArray[np.float64]:
    return np.array((message.x, message.y, message.z))


def _estimate(thing: ReceivedObject, mesh: ObjectMesh) -> ObjectEstimate:
    return ObjectEstimate(
        instance_id=0,
        label=thing.label,
        mesh=mesh_from_message(mesh),
        camera_from_object=thing.header_from_object,
        covariance=thing.covariance,
        verdict=thing.verdict,
    )
