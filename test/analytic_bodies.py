"""People made of a few points whose every coordinate can be told by hand, in any pose."""

from __future__ import annotations

import numpy as np

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.geometry.rig_parameters import RigParameters
from sam3d_ros.perception.estimates import ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.people.estimates import BodyEstimate, Skeleton

#: Places in the body frame, metres: x out of the chest, y to the left, z to the head.
KEYPOINTS = {
    "nose": (0.1, 0.0, 0.65),
    "left_shoulder": (0.0, 0.2, 0.5),
    "right_shoulder": (0.0, -0.2, 0.5),
    "left_hip": (0.0, 0.1, 0.0),
    "right_hip": (0.0, -0.1, 0.0),
    "left_wrist": (0.3, 0.4, 0.3),
}
SKELETON = Skeleton(
    keypoints=tuple(KEYPOINTS),
    links=((1, 2), (1, 3), (2, 4), (3, 4), (1, 5)),
    joints=("root", "l_upleg", "c_head"),
)
JOINTS = np.array([(0.0, 0.0, 0.05), (0.0, 0.1, 0.0), (0.05, 0.0, 0.6)])
#: A body that faces a camera, upright, two metres away: its x is the camera's -z, its z the camera's -y.
FACING = Similarity(
    np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]]), np.array([0.1, -0.2, 2.0])
)
SURFACE = Mesh(
    vertices=np.array([(0.1, 0.0, 0.0), (0.0, 0.1, 0.0), (0.0, -0.1, 0.0), (0.0, 0.0, 0.6)], np.float32),
    triangles=np.array([(0, 1, 3), (0, 3, 2), (1, 2, 3), (0, 2, 1)]),
    colors=np.full((4, 3), 200, np.uint8),
)
SIZES = {"model": 204, "shape": 45, "root": 3, "body": 133, "hands": 108, "sizes": 28, "camera": 3}


def standing_body(
    instance_id: int = 1,
    camera_from_body: Similarity = FACING,
    *,
    state: VerdictState = VerdictState.ACCEPTED,
    mesh: Mesh | None = SURFACE,
    unknown: tuple[str, ...] = (),
) -> BodyEstimate:
    """A body at a pose; its joints are turned about z by 0.1 rad more each."""
    keypoints = camera_from_body.apply(list(KEYPOINTS.values())).astype(np.float32)
    keypoints[[SKELETON.keypoints.index(name) for name in unknown]] = np.nan
    turns = [
        Similarity.from_quaternion((0, 0, np.sin(0.05 * i), np.cos(0.05 * i))).rotation for i in range(3)
    ]
    rig = {name: np.linspace(0, 1, size, dtype=np.float32) for name, size in SIZES.items()}
    return BodyEstimate(
        instance_id=instance_id,
        label="person",
        skeleton=SKELETON,
        keypoints=keypoints,
        confidences=np.full(len(KEYPOINTS), 0.5, np.float32),
        joints=camera_from_body.apply(JOINTS).astype(np.float32),
        joint_rotations=(camera_from_body.rotation @ np.stack(turns)).astype(np.float32),
        joint_angles=np.array([(np.nan, np.nan, 0.1 * i) for i in range(3)], np.float32),
        camera_from_body=camera_from_body,
        mesh=mesh,
        rig=RigParameters(**rig),
        verdict=Verdict(state, (), 0.9, 0.01, 0.8, 500, ScaleSource.DEPTH),
    )


def labelled_frame(stamp: int, labels: np.ndarray, names: dict[int, str]) -> Frame:
    """A frame of a wall two metres away."""
    height, width = labels.shape
    camera = Camera(width=width, height=height, fx=200.0, fy=200.0, cx=width / 2, cy=height / 2)
    points = (2.0 * camera.rays()).astype(np.float32)
    rgb = np.zeros((height, width, 3), np.uint8)
    return Frame(
        stamp, "camera", rgb, labels.astype(np.uint16), PointMap(points), PointsSource.DEPTH, camera, names
    )
