"""Tracked people as the messages of this package, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.rig_parameters import RigParameters
from sam3d_ros.msg import Body, BodyArray, BodyMesh
from sam3d_ros.perception.estimates import Verdict
from sam3d_ros.perception.people.estimates import Skeleton
from sam3d_ros.perception.people.pipeline import TrackedBody
from sam3d_ros.ros.flat_arrays import flat_array
from sam3d_ros.ros.object_messages import verdict_from_message, verdict_message
from sam3d_ros.ros.transforms import pose_message, similarity_from_pose, transform_message


@dataclass(frozen=True, eq=False)
class ReceivedBody:
    """A person as a BodyArray tells it.

    Attributes:
        id: stable for as long as the person is tracked.
        label: class name, may be empty.
        skeleton: names of keypoints and joints.
        header_from_body: the body frame of REP-155 in the frame of the message.
        keypoints: (K, 3) float32 in the frame of the message, metres; NaN = unknown.
        confidences: (K,) float32, 0 to 1; NaN = not told.
        joints: (J, 3) float32 in the frame of the message, metres.
        joint_rotations: (J, 3, 3) header_from_joint.
        rig: parameters.
        verdict: how far to trust it.
        mesh_version: which BodyMesh belongs to it; 0 = none.
    """

    id: int
    label: str
    skeleton: Skeleton
    header_from_body: Similarity
    keypoints: NDArray[np.float32]
    confidences: NDArray[np.float32]
    joints: NDArray[np.float32]
    joint_rotations: NDArray[np.float64]
    rig: RigParameters
    verdict: Verdict
    mesh_version: int


def body_frame(track_id: int, prefix: str = "") -> str:
    """Name of the TF frame of a person."""
    return f"{prefix}body_{track_id}"


def joint_frame(joint: str, track_id: int, prefix: str = "") -> str:
    """Name of the TF frame of a joint of a person."""
    return f"{prefix}{joint}_{track_id}"


def body_array(bodies: Sequence[TrackedBody], header: Header, *, session: int) -> BodyArray:
    """All people of an image.

    Args:
        bodies: as tracked.
        header: names the frame that they are tracked in.
        session: as of `SeenPeople`.
    """
    message = BodyArray(header=header, bodies=[body_message(tracked) for tracked in bodies], session=session)
    if bodies:
        skeleton = bodies[0].estimate.skeleton
        message.keypoint_names, message.joint_names = list(skeleton.keypoints), list(skeleton.joints)
        message.links = flat_array("I", np.array(skeleton.links))
    return message


def body_message(tracked: TrackedBody) -> Body:
    """One person without the surface."""
    estimate = tracked.estimate
    message = Body(
        id=tracked.track_id,
        label=estimate.label,
        pose=pose_message(tracked.fixed_from_body),
        keypoints=flat_array("f", tracked.keypoints),
        confidences=flat_array("f", estimate.confidences),
        joint_positions=flat_array("f", tracked.joints),
        joint_orientations=flat_array("f", _quaternions(tracked.joint_rotations)),
        verdict=verdict_message(estimate.verdict),
        mesh_version=0 if estimate.mesh is None else tracked.version,
    )
    for item in fields(RigParameters):
        setattr(message, f"rig_{item.name}", flat_array("f", getattr(estimate.rig, item.name)))
    return message


def body_mesh(tracked: TrackedBody, header: Header, *, session: int, prefix: str = "") -> BodyMesh | None:
    """The surface of a person in the body frame; None if there is none.

    Args:
        tracked: the person.
        header: of the image; its stamp is taken over.
        session: as of `SeenPeople`.
        prefix: of the frames of people.
    """
    mesh = tracked.estimate.mesh
    if mesh is None:
        return None
    return BodyMesh(
        header=Header(stamp=header.stamp, frame_id=body_frame(tracked.track_id, prefix)),
        id=tracked.track_id,
        version=tracked.version,
        vertices=flat_array("f", mesh.vertices),
        triangles=flat_array("I", mesh.triangles),
        colors=flat_array("B", mesh.colors),
        session=session,
    )


def joint_state(tracked: TrackedBody, header: Header) -> JointState:
    """The angles of the rig: `<joint>_rx`, `_ry` and `_rz` about the axes that the rig turns the joint, radians.

    Velocities and efforts are empty: nobody knows them.

    Args:
        tracked: the person.
        header: of the image; its stamp is taken over.
    """
    angles, names = tracked.estimate.joint_angles, tracked.estimate.skeleton.joints
    known = ~np.isnan(angles)
    joints, axes = known.nonzero()
    return JointState(
        header=Header(stamp=header.stamp),
        name=[f"{names[j]}_r{'xyz'[axis]}" for j, axis in zip(joints.tolist(), axes.tolist(), strict=True)],
        position=angles[known].tolist(),
    )


def body_transforms(
    bodies: Sequence[TrackedBody], header: Header, *, joints: bool = True, prefix: str = ""
) -> list[TransformStamped]:
    """The frames `body_<id>` below that of the header, and `<joint>_<id>` below each."""
    transforms = []
    for tracked in bodies:
        parent = body_frame(tracked.track_id, prefix)
        transforms.append(transform_message(header, parent, tracked.fixed_from_body))
        if joints:
            transforms += _joint_transforms(tracked, Header(stamp=header.stamp, frame_id=parent), prefix)
    return transforms


def bodies_from_message(message: BodyArray) -> list[ReceivedBody]:
    """Read a BodyArray.

    Raises:
        ValueError: an array has another length than the names, or a pose is no rotation.
    """
    links = np.array(message.links, dtype=np.int64).reshape(-1, 2)
    skeleton = Skeleton(
        tuple(message.keypoint_names), tuple((a, b) for a, b in links.tolist()), tuple(message.joint_names)
    )
    return [_received(body, skeleton) for body in message.bodies]


def _joint_transforms(tracked: TrackedBody, header: Header, prefix: str) -> list[TransformStamped]:
    body_from_fixed = tracked.fixed_from_body.inverse()
    names = tracked.estimate.skeleton.joints
    positions = body_from_fixed.apply(tracked.joints).tolist()
    orientations = _quaternions(body_from_fixed.rotation @ tracked.joint_rotations).tolist()
    transforms = []
    # One by one as plain numbers: a Similarity for each of 127 joints takes ten times as long.
    for name, position, orientation in zip(names, positions, orientations, strict=True):
        frame = joint_frame(name, tracked.track_id, prefix)
        message = TransformStamped(header=header, child_frame_id=frame)
        t, q = message.transform.translation, message.transform.rotation
        t.x, t.y, t.z = position
        q.x, q.y, q.z, q.w = orientation
        transforms.append(message)
    return transforms


def _quaternions(rotations: NDArray[np.floating]) -> NDArray[np.float64]:
    """(J, 3, 3) rotations -> (J, 4) unit quaternions x y z w with w >= 0."""
    return np.asarray(Rotation.from_matrix(rotations).as_quat(canonical=True))


def _received(body: Body, skeleton: Skeleton) -> ReceivedBody:
    count, joints = len(skeleton.keypoints), len(skeleton.joints)
    lengths = {
        "keypoints": 3 * count,
        "confidences": count,
        "joint_positions": 3 * joints,
        "joint_orientations": 4 * joints,
    }
    for name, length in lengths.items():
        if len(getattr(body, name)) != length:
            raise ValueError(
                f"{name} of body {body.id} has {len(getattr(body, name))} numbers: {length} are expected for "
                f"{count} keypoints and {joints} joints"
            )
    orientations = np.array(body.joint_orientations, dtype=np.float64).reshape(-1, 4)
    return ReceivedBody(
        id=body.id,
        label=body.label,
        skeleton=skeleton,
        header_from_body=similarity_from_pose(body.pose),
        keypoints=np.array(body.keypoints, dtype=np.float32).reshape(-1, 3),
        confidences=np.array(body.confidences, dtype=np.float32),
        joints=np.array(body.joint_positions, dtype=np.float32).reshape(-1, 3),
        joint_rotations=np.asarray(Rotation.from_quat(orientations).as_matrix()),
        rig=RigParameters(
            *(np.array(getattr(body, f"rig_{f.name}"), dtype=np.float32) for f in fields(RigParameters))
        ),
        verdict=verdict_from_message(body.verdict),
        mesh_version=body.mesh_version,
    )
