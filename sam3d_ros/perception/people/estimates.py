"""What the reconstruction of people answers, and the protocol of whatever does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.rig_parameters import RigParameters
from sam3d_ros.perception.estimates import Verdict
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.reconstructor import Progress


@dataclass(frozen=True)
class Skeleton:
    """Names of the points of a body; one instance for all bodies of a reconstructor.

    Attributes:
        keypoints: names in the order of `BodyEstimate.keypoints`.
        links: pairs of indices of keypoints that a drawing joins by a line.
        joints: names in the order of `BodyEstimate.joints`.
    """

    keypoints: tuple[str, ...]
    links: tuple[tuple[int, int], ...]
    joints: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class BodyEstimate:
    """One person, metric.

    Attributes:
        instance_id: value of its pixels in `Frame.labels`, or of its box in `Frame.boxes`.
        label: class name, may be empty.
        skeleton: names of keypoints and joints.
        keypoints: (K, 3) float32 in the optical frame, metres; NaN = unknown.
        confidences: (K,) float32 of the keypoints, 0 to 1; NaN = the reconstructor does not tell.
        joints: (J, 3) float32 in the optical frame, metres.
        joint_rotations: (J, 3, 3) float32 camera_from_joint; axes are those of the rig's joints.
        joint_angles: (J, 3) float32 that each joint is turned by about its own x, y and z, radians: it stands at
            R(z) R(y) R(x) from its rest; NaN about axes that the rig does not turn it.
        camera_from_body: the body frame of REP-155 in the optical frame, scale one: origin between the hips, x out
            of the chest, y to the left, z to the head.
        mesh: surface in the body frame, metres; None if the rig has none or it was not asked for.
        rig: parameters.
        verdict: how far to trust it; its scale source says whether depth, LiDAR or the camera alone placed it.
    """

    instance_id: int
    label: str
    skeleton: Skeleton
    keypoints: NDArray[np.float32]
    confidences: NDArray[np.float32]
    joints: NDArray[np.float32]
    joint_rotations: NDArray[np.float32]
    joint_angles: NDArray[np.float32]
    camera_from_body: Similarity
    mesh: Mesh | None
    rig: RigParameters
    verdict: Verdict

    def __post_init__(self) -> None:
        count, joints = len(self.skeleton.keypoints), len(self.skeleton.joints)
        expected = {
            "keypoints": (count, 3),
            "confidences": (count,),
            "joints": (joints, 3),
            "joint_rotations": (joints, 3, 3),
            "joint_angles": (joints, 3),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"{name} is {getattr(self, name).shape} but the skeleton names {count} keypoints and {joints} "
                    f"joints: give {shape}"
                )


class BodyReconstructor(Protocol):
    """Poses people of one frame; all of a call are one batch."""

    @property
    def name(self) -> str:
        """What it is called in diagnostics."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """Names of the points of its bodies, which prompts may name, too."""
        ...

    def reconstruct(
        self, frame: Frame, instance_ids: Sequence[int], *, progress: Progress | None = None
    ) -> list[BodyEstimate]:
        """Pose instances, told by labels or boxes, with the help of the prompts that name them.

        Returns:
            One estimate for each id, in the same order; one that cannot be trusted has a REJECTED verdict. Left out is
            who is seen through the distortion of the lens alone, where no camera without it looks.

        Raises:
            ValueError: an id has neither a pixel nor a box in the frame.
        """
        ...


def camera_from_body(skeleton: Skeleton, keypoints: NDArray[np.floating]) -> Similarity:
    """The body frame of REP-155, from hips and shoulders.

    Args:
        skeleton: that names left_hip, right_hip, left_shoulder and right_shoulder.
        keypoints: (K, 3) metres, in the frame that the body frame is wanted in.

    Returns:
        Origin between the hips, z to the middle of the shoulders, y to the left hip as far as that is across z, x out
        of the chest; scale one.

    Raises:
        ValueError: one of the four is not named or not known, or they lie on one line.
    """
    wanted = ("left_hip", "right_hip", "left_shoulder", "right_shoulder")
    missing = [name for name in wanted if name not in skeleton.keypoints]
    if missing:
        raise ValueError(f"the skeleton does not name {missing}: give one that has hips and shoulders")
    points = keypoints[[skeleton.keypoints.index(name) for name in wanted]].astype(np.float64)
    origin = (points[0] + points[1]) / 2
    up = (points[2] + points[3]) / 2 - origin
    forward = np.cross(points[0] - points[1], up)
    lengths = np.linalg.norm(up), np.linalg.norm(forward)
    if not (np.isfinite(points).all() and min(lengths) > 1e-9):
        raise ValueError("hips and shoulders are unknown or on one line: they do not make a frame")
    z, x = up / lengths[0], forward / lengths[1]
    return Similarity(np.stack([x, np.cross(z, x), z], axis=1), origin)
