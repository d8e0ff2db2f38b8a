"""The scene: all objects and people as one GLB file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.mesh_files import ScenePart, write_glb
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.people.estimates import BodyEstimate
from sam3d_ros.perception.people.pipeline import TrackedBody
from sam3d_ros.perception.tracking.tracks import TrackedObject

#: Optical frame (x right, y down, z forward) to a z-up frame with the same right: (x, y, z) -> (x, z, -y). In the
#: y-up file this is the glTF camera (x right, y up, z backward), so that a viewer opens on what the camera saw.
UPRIGHT_FROM_OPTICAL = Similarity(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]))


def write_camera_scene(
    path: str | Path,
    objects: Sequence[tuple[int, ObjectEstimate]],
    bodies: Sequence[tuple[int, BodyEstimate]] = (),
) -> int:
    """Write objects and people as the camera sees them: x right, y up, z backward, metres.

    Args:
        path: the GLB file.
        objects: pairs of an id and the estimate; an estimate without triangles is left out.
        bodies: pairs of an id and the estimate; one without a surface is left out.

    Returns:
        Number of meshes written.

    Raises:
        ValueError: nothing has a triangle.
        OSError: the file cannot be written.
    """
    parts = [
        ScenePart(
            _name(object_id, estimate), estimate.mesh, UPRIGHT_FROM_OPTICAL @ estimate.camera_from_object
        )
        for object_id, estimate in objects
    ]
    parts += [
        ScenePart(f"body_{body_id}", body.mesh, UPRIGHT_FROM_OPTICAL @ body.camera_from_body)
        for body_id, body in bodies
        if body.mesh is not None
    ]
    return _write(path, parts)


def write_fixed_scene(
    path: str | Path,
    objects: Sequence[TrackedObject],
    bodies: Sequence[TrackedBody] = (),
) -> int:
    """Write tracked objects and people in the fixed frame (z up, REP-103), turned to the y-up frame of GLB, metres.

    Args:
        path: the GLB file.
        objects: as tracked.
        bodies: as tracked; one without a surface is left out.

    Returns:
        Number of meshes written.

    Raises:
        ValueError: nothing has a triangle.
        OSError: the file cannot be written.
    """
    parts = [
        ScenePart(_name(thing.track_id, thing.estimate), thing.estimate.mesh, thing.fixed_from_object)
        for thing in objects
    ]
    for body in bodies:
        if body.estimate.mesh is not None:
            parts.append(ScenePart(f"body_{body.track_id}", body.estimate.mesh, body.fixed_from_body))
    return _write(path, parts)


def _name(object_id: int, estimate: ObjectEstimate) -> str:
    return f"object_{object_id}" + (f"_{estimate.label}" if estimate.label else "")


def _write(path: str | Path, parts: Sequence[ScenePart]) -> int:
    visible = [part for part in parts if len(part.mesh.triangles)]
    if not visible:
        raise ValueError("the scene holds no mesh yet: wait for the first reconstruction")
    write_glb(path, visible)
    return len(visible)
