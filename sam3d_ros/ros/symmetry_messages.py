"""Symmetry groups as fields of ReconstructedObject, and back."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from geometry_msgs.msg import Transform

from sam3d_ros.msg import ContinuousSymmetry as ContinuousSymmetryMessage
from sam3d_ros.msg import ReconstructedObject
from sam3d_ros.perception.symmetry_group import ContinuousSymmetry, SymmetryGroup
from sam3d_ros.ros.transforms import similarity_from_transform, transform_fields


@lru_cache(maxsize=256)
def symmetry_fields(group: SymmetryGroup) -> tuple[list[ContinuousSymmetryMessage], list[Transform]]:
    """The fields `symmetries_continuous` and `symmetries_discrete` of an object.

    An object keeps its group for as long as its mesh: they are made once, and must not be changed.
    """
    return [_axis_message(turns) for turns in group.continuous], [
        transform_fields(motion) for motion in group.discrete
    ]


def symmetry_from_message(message: ReconstructedObject) -> SymmetryGroup:
    """Read the symmetry group of an object.

    Raises:
        ValueError: a motion is no rotation, or an axis no direction.
    """
    return SymmetryGroup(
        continuous=tuple(_axis(item) for item in message.symmetries_continuous),
        discrete=tuple(similarity_from_transform(item) for item in message.symmetries_discrete),
    )


def _axis_message(symmetry: ContinuousSymmetry) -> ContinuousSymmetryMessage:
    message = ContinuousSymmetryMessage()
    message.axis.x, message.axis.y, message.axis.z = symmetry.axis.tolist()
    message.offset.x, message.offset.y, message.offset.z = symmetry.offset.tolist()
    return message


def _axis(message: ContinuousSymmetryMessage) -> ContinuousSymmetry:
    axis = np.array([message.axis.x, message.axis.y, message.axis.z])
    length = float(np.linalg.norm(axis))
    if not 0.0 < length < np.inf:
        raise ValueError(f"the axis of a symmetry is {axis.tolist()}: a direction is expected")
    return ContinuousSymmetry(axis / length, np.array([message.offset.x, message.offset.y, message.offset.z]))
