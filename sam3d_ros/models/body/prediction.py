"""What the predictor answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.rig_parameters import RigParameters
from sam3d_ros.models.body.metric_root import MetricScale

#: Axes of the rig (x to the left of the body, y up, z out of its chest) in a camera that faces it.
CAMERA_AXES_FROM_RIG = np.diag([1.0, -1.0, -1.0])
_SKIN_COLOR = 200


@dataclass(frozen=True, eq=False)
class BodyPrediction:
    """One person, in the optical frame and metres.

    Attributes:
        box: (4,) x1, y1, x2, y2 of the person, pixels.
        keypoints: (70, 3) float32 in the order of `keypoints.NAMES`; NaN where the rig does not have them.
        pixels: (70, 2) float32 of the keypoints in the image.
        joints: (127, 3) float32 in the order of `joints.JOINT_NAMES`.
        joint_rotations: (127, 3, 3) float32 camera_from_joint; axes are those of the rig's joints.
        joint_angles: (127, 3) float32 by which the rig turned each joint about its x, y and z, radians: the joint
            is at R(z) R(y) R(x) from its rest; NaN about axes that the rig does not turn it.
        joint_scales: (127,) float32 of the surface around each joint.
        camera_from_body: of the rig frame, in metres: x to the left, y up, z out of the chest, with the origin
            between the feet of the rest pose.
        vertices: (V, 3) float32 of the surface in the rig frame, metres; None if it was not asked for.
        triangles: (M, 3) uint32 of the surface; None with `vertices`.
        rig: parameters.
        metric: by how much measured depth moved the body; None where the camera alone placed it.
        hands_used: whether the left and the right hand were seen from near and believed.
        hand_boxes: (2, 4) float32 squares that the hands were seen in, pixels; None if they were not.
        seconds: stage -> what this person took of it.
    """

    box: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    pixels: NDArray[np.float32]
    joints: NDArray[np.float32]
    joint_rotations: NDArray[np.float32]
    joint_angles: NDArray[np.float32]
    joint_scales: NDArray[np.float32]
    camera_from_body: Similarity
    vertices: NDArray[np.float32] | None
    triangles: NDArray[np.uint32] | None
    rig: RigParameters
    metric: MetricScale | None
    hands_used: tuple[bool, bool]
    hand_boxes: NDArray[np.float32] | None
    seconds: dict[str, float]

    @cached_property
    def mesh(self) -> Mesh | None:
        """The surface in the rig frame, metres, in one grey."""
        if self.vertices is None or self.triangles is None:
            return None
        return Mesh(self.vertices, self.triangles, np.full(self.vertices.shape, _SKIN_COLOR, np.uint8))
