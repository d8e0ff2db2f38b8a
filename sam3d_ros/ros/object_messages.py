"""Tracked objects as the messages of this package, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import TransformStamped
from numpy.typing import NDArray
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

from sam3d_ros.geometry.frames import Similarity, turned_covariance
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.msg import BodyMesh, ObjectArray, ObjectMesh, ReconstructedObject
from sam3d_ros.msg import Verdict as VerdictMessage
from sam3d_ros.perception.estimates import ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.surfaces.surface import SupportSurface
from sam3d_ros.perception.symmetry_group import SymmetryGroup
from sam3d_ros.perception.tracking.tracks import TrackedObject
from sam3d_ros.ros.flat_arrays import flat_array
from sam3d_ros.ros.symmetry_messages import symmetry_fields, symmetry_from_message
from sam3d_ros.ros.transforms import pose_message, similarity_from_pose, transform_message


@dataclass(frozen=True, eq=False)
class ReceivedObject:
    """An object as an ObjectArray tells it.

    Attributes:
        id: stable for as long as the object is tracked.
        label: class name, may be empty.
        header_from_object: canonical frame to the frame of the message, with scale: metres.
        covariance: (6, 6) in the frame of the message, x y z rotX rotY rotZ, metres and radians.
        size: (3,) full lengths of the mesh along the object's axes, metres.
        verdict: how far to trust it.
        mesh_version: which ObjectMesh it belongs to.
        symmetry: the motions that its pose is known but for.
        surface_id: what it stands on; 0 = nothing that is known.
    """

    id: int
    label: str
    header_from_object: Similarity
    covariance: NDArray[np.float64]
    size: NDArray[np.float64]
    verdict: Verdict
    mesh_version: int
    symmetry: SymmetryGroup
    surface_id: int = 0


def object_frame(track_id: int, prefix: str = "") -> str:
    """Name of the TF frame of an object."""
    return f"{prefix}object_{track_id}"


def object_array(
    objects: Sequence[TrackedObject],
    header: Header,
    *,
    session: int,
    revision: int = 1,
    surfaces: Sequence[SupportSurface] = (),
) -> ObjectArray:
    """All objects at one stamp.

    Args:
        objects: as tracked.
        header: names the frame that they are tracked in.
        session, revision: as of `SeenObjects`.
        surfaces: what they stand on.
    """
    carried_by = {track: surface.surface_id for surface in surfaces for track in surface.object_ids}
    messages = [object_message(tracked, carried_by.get(tracked.track_id, 0)) for tracked in objects]
    return ObjectArray(header=header, objects=messages, session=session, revision=revision)


def object_message(tracked: TrackedObject, surface_id: int = 0) -> ReconstructedObject:
    """One object: pose, scale, size and verdict, without its mesh; and what it stands on, 0 = nothing that is known."""
    message = ReconstructedObject(
        id=tracked.track_id,
        label=tracked.estimate.label,
        verdict=verdict_message(tracked.estimate.verdict),
        mesh_version=tracked.mesh_version,
        surface_id=surface_id,
    )
    message.pose.pose = pose_message(tracked.fixed_from_object)
    message.pose.covariance = covariance_in_fixed(tracked).ravel()
    message.scale.x, message.scale.y, message.scale.z = tracked.fixed_from_object.scale.tolist()
    message.size.x, message.size.y, message.size.z = object_size(tracked).tolist()
    message.symmetries_continuous, message.symmetries_discrete = symmetry_fields(tracked.estimate.symmetry)
    return message


def object_mesh(tracked: TrackedObject, header: Header, *, session: int) -> ObjectMesh:
    """The mesh of one object, in its canonical frame, as flat arrays."""
    mesh, measured = tracked.estimate.mesh, tracked.estimate.measured
    return ObjectMesh(
        header=header,
        id=tracked.track_id,
        version=tracked.mesh_version,
        vertices=flat_array("f", mesh.vertices),
        triangles=flat_array("I", mesh.triangles),
        colors=flat_array("B", mesh.colors),
        session=session,
        measured=flat_array("B", np.zeros(0) if measured is None else measured),
    )


def detection_array(objects: Sequence[TrackedObject], header: Header) -> Detection3DArray:
    """Oriented boxes: centre and orientation of the box, full size in metres along its own axes."""
    return Detection3DArray(header=header, detections=[_detection(tracked, header) for tracked in objects])


def object_transforms(
    objects: Sequence[TrackedObject], header: Header, prefix: str = ""
) -> list[TransformStamped]:
    """The frames `object_<id>`: rotation and translation of each object; its scale is in the ObjectArray."""
    return [
        transform_message(header, object_frame(tracked.track_id, prefix), tracked.fixed_from_object)
        for tracked in objects
    ]


def verdict_message(verdict: Verdict) -> VerdictMessage:
    """A verdict; the values of state and scale source are those of the message."""
    message = VerdictMessage(
        state=verdict.state.value,
        reasons=list(verdict.reasons),
        mask_iou=float(verdict.mask_iou),
        depth_residual=float(verdict.depth_residual),
        inlier_ratio=float(verdict.inlier_ratio),
        point_count=int(verdict.point_count),
        scale_source=verdict.scale_source.value,
        seen_share=float(verdict.seen_share),
    )
    message.size_sigma.x, message.size_sigma.y, message.size_sigma.z = verdict.size_sigma
    return message


def confidence(verdict: Verdict) -> float:
    """A score for consumers of detections, 0 to 1: the worse of mask IoU and inlier ratio; 0 when rejected.

    A figure that is not known is left out; with neither the score is 0.
    """
    figures = [value for value in (verdict.mask_iou, verdict.inlier_ratio) if np.isfinite(value)]
    if verdict.state is VerdictState.REJECTED or not figures:
        return 0.0
    return float(np.clip(min(figures), 0.0, 1.0))


def object_size(tracked: TrackedObject) -> NDArray[np.float64]:
    """(3,) full lengths of the mesh along the object's axes, metres."""
    low, high = tracked.estimate.mesh.bounds.astype(np.float64)
    return np.asarray((high - low) * tracked.fixed_from_object.scale)


def fixed_from_box(tracked: TrackedObject) -> Similarity:
    """Centre and axes of the box around the mesh, in the frame that the object is tracked in; scale one."""
    middle = tracked.estimate.mesh.bounds.astype(np.float64).mean(axis=0)
    pose = tracked.fixed_from_object
    return Similarity(pose.rotation, pose.apply(middle))


def covariance_in_fixed(tracked: TrackedObject) -> NDArray[np.float64]:
    """(6, 6) covariance of the pose, turned from the optical frame to the frame of tracking."""
    fixed_from_camera = tracked.fixed_from_object.rotation @ tracked.estimate.camera_from_object.rotation.T
    return turned_covariance(tracked.estimate.covariance, fixed_from_camera)


def objects_from_message(message: ObjectArray) -> list[ReceivedObject]:
    """Read an ObjectArray.

    Raises:
        ValueError: a pose is no rotation or a scale not positive.
    """
    return [_received(item) for item in message.objects]


def mesh_from_message(message: ObjectMesh | BodyMesh) -> Mesh:
    """Read the mesh of an ObjectMesh in the canonical frame, or of a BodyMesh in the body frame.

    Raises:
        ValueError: the flat arrays do not make a mesh.
    """
    for name in ("vertices", "triangles", "colors"):
        if len(getattr(message, name)) % 3:
            raise ValueError(f"{name} has {len(getattr(message, name))} numbers: a multiple of 3 is expected")
    return Mesh(
        vertices=np.array(message.vertices, dtype=np.float32).reshape(-1, 3),
        triangles=np.array(message.triangles, dtype=np.uint32).reshape(-1, 3),
        colors=np.array(message.colors, dtype=np.uint8).reshape(-1, 3),
    )


def verdict_from_message(message: VerdictMessage) -> Verdict:
    """Read a verdict.

    Raises:
        ValueError: the state or the scale source is unknown.
    """
    return Verdict(
        state=VerdictState(message.state),
        reasons=tuple(message.reasons),
        mask_iou=message.mask_iou,
        depth_residual=message.depth_residual,
        inlier_ratio=message.inlier_ratio,
        point_count=message.point_count,
        scale_source=ScaleSource(message.scale_source),
        seen_share=message.seen_share,
        size_sigma=(message.size_sigma.x, message.size_sigma.y, message.size_sigma.z),
    )


def _received(item: ReconstructedObject) -> ReceivedObject:
    pose = similarity_from_pose(item.pose.pose)
    return ReceivedObject(
        id=item.id,
        label=item.label,
        header_from_object=Similarity(
            pose.rotation, pose.translation, np.array([item.scale.x, item.scale.y, item.scale.z])
        ),
        covariance=np.array(item.pose.covariance, dtype=np.float64).reshape(6, 6),
        size=np.array([item.size.x, item.size.y, item.size.z]),
        verdict=verdict_from_message(item.verdict),
        mesh_version=item.mesh_version,
        symmetry=symmetry_from_message(item),
        surface_id=item.surface_id,
    )


def _detection(tracked: TrackedObject, header: Header) -> Detection3D:
    detection = Detection3D(header=header, id=str(tracked.track_id))
    detection.bbox.center = pose_message(fixed_from_box(tracked))
    size = detection.bbox.size
    size.x, size.y, size.z = object_size(tracked).tolist()
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = tracked.estimate.label
    result.hypothesis.score = confidence(tracked.estimate.verdict)
    result.pose.pose = pose_message(tracked.fixed_from_object)
    result.pose.covariance = covariance_in_fixed(tracked).ravel()
    detection.results.append(result)
    return detection
