"""An estimate as entries of a JSON header and named arrays, and back; part of `evidence_content`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.splats import Splats
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.recorded.array_archive import Arrays
from sam3d_ros.perception.recorded.header_fields import LARGEST_NUMBER, Fields
from sam3d_ros.perception.symmetry_group import ContinuousSymmetry, SymmetryGroup

_LARGEST_ID, _MOST_PIXELS = 2**16 - 1, 2**25
#: Smallest scale that is no absurdity, metres a unit.
_SMALLEST = 1e-6
#: Vertices, triangles or splats.
_MOST_ROWS = 2**26
_MOST_REASONS, _MOST_AXES, _MOST_MOTIONS = 64, 3, 120
#: Columns of each array of splats.
_SPLAT_COLUMNS = {"position": 3, "color": 3, "sigma": 3, "rotation": 4, "opacity_logit": 1}


def estimate_record(estimate: ObjectEstimate, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """The entries of the header that tell an estimate; its arrays are added to the others."""
    mesh, verdict, splats = estimate.mesh, estimate.verdict, estimate.splats
    arrays.update({f"mesh.{name}": getattr(mesh, name) for name in ("vertices", "triangles", "colors")})
    arrays["covariance"] = estimate.covariance
    if estimate.measured is not None:
        arrays["measured"] = estimate.measured
    if splats is not None:
        arrays.update({f"splats.{name}": getattr(splats, name) for name in _SPLAT_COLUMNS})
    return {
        "instance_id": int(estimate.instance_id),
        "label": estimate.label,
        "vertices": len(mesh.vertices),
        "triangles": len(mesh.triangles),
        "splats": None if splats is None else len(splats),
        "measured": estimate.measured is not None,
        "camera_from_object": pose_record(estimate.camera_from_object),
        "verdict": {
            "state": verdict.state.name,
            "reasons": list(verdict.reasons),
            "mask_iou": _figure(verdict.mask_iou),
            "depth_residual": _figure(verdict.depth_residual),
            "inlier_ratio": _figure(verdict.inlier_ratio),
            "point_count": int(verdict.point_count),
            "scale_source": verdict.scale_source.name,
            "seen_share": _figure(verdict.seen_share),
            "size_sigma": dict(zip("xyz", map(_figure, verdict.size_sigma), strict=True)),
        },
        "symmetry": {
            "continuous": [float(x) for a in estimate.symmetry.continuous for x in (*a.axis, *a.offset)],
            "discrete": [
                float(x) for g in estimate.symmetry.discrete for x in (*g.rotation.ravel(), *g.translation)
            ],
        },
    }


def estimate_from(fields: Fields, arrays: Arrays) -> ObjectEstimate:
    """Read an estimate.

    Raises:
        ValueError: an entry or an array is missing, of another kind, or out of bounds.
    """
    vertices, triangles = (fields.whole(key, 0, _MOST_ROWS) for key in ("vertices", "triangles"))
    mesh = Mesh(
        vertices=arrays.take("mesh.vertices", np.float32, (vertices, 3)),
        triangles=arrays.take("mesh.triangles", np.uint32, (triangles, 3)),
        colors=arrays.take("mesh.colors", np.uint8, (vertices, 3)),
    )
    covariance = arrays.take("covariance", np.float64, (6, 6))
    if not np.isfinite(covariance).all():
        raise ValueError("the covariance holds NaN or Inf, finite numbers are expected")
    estimate = ObjectEstimate(
        # An estimate that was followed into other frames has the number of another one, or none.
        instance_id=fields.whole("instance_id", 0, _LARGEST_ID),
        label=fields.text("label"),
        mesh=mesh,
        camera_from_object=pose_from(fields.section("camera_from_object")),
        covariance=covariance,
        verdict=_verdict(fields.section("verdict")),
        splats=_splats(fields.optional_whole("splats", 0, _MOST_ROWS), arrays),
        measured=arrays.take("measured", np.bool_, (vertices,)) if fields.flag("measured") else None,
        symmetry=_symmetry(fields.section("symmetry")),
    )
    fields.finish()
    return estimate


def _splats(count: int | None, arrays: Arrays) -> Splats | None:
    if count is None:
        return None
    taken = {
        name: arrays.take(f"splats.{name}", np.float32, (count, columns))
        for name, columns in _SPLAT_COLUMNS.items()
    }
    return Splats(**taken)


def _verdict(fields: Fields) -> Verdict:
    verdict = Verdict(
        state=fields.choice("state", VerdictState),
        reasons=fields.texts("reasons", _MOST_REASONS),
        mask_iou=fields.figure("mask_iou", 1.0),
        depth_residual=fields.figure("depth_residual", LARGEST_NUMBER),
        inlier_ratio=fields.figure("inlier_ratio", 1.0),
        point_count=fields.whole("point_count", 0, _MOST_PIXELS),
        scale_source=fields.choice("scale_source", ScaleSource),
        seen_share=fields.figure("seen_share", 1.0),
        size_sigma=_size_sigma(fields.section("size_sigma")),
    )
    fields.finish()
    return verdict


def _size_sigma(fields: Fields) -> tuple[float, float, float]:
    x, y, z = (fields.figure(axis, LARGEST_NUMBER) for axis in "xyz")
    fields.finish()
    return x, y, z


def _symmetry(fields: Fields) -> SymmetryGroup:
    axes = _rows(fields, "continuous", 6, _MOST_AXES)
    motions = _rows(fields, "discrete", 12, _MOST_MOTIONS)
    fields.finish()
    if axes.size and not np.allclose(np.linalg.norm(axes[:, :3], axis=1), 1.0, atol=1e-6):
        raise ValueError("an axis of a symmetry is no unit vector")
    return SymmetryGroup(
        tuple(ContinuousSymmetry(axis[:3], axis[3:]) for axis in axes),
        tuple(Similarity(motion[:9].reshape(3, 3), motion[9:]) for motion in motions),
    )


def _rows(fields: Fields, key: str, columns: int, most: int) -> NDArray[np.float64]:
    numbers = fields.numbers(key, 0, columns * most)
    if len(numbers) % columns:
        raise ValueError(f"{key} has {len(numbers)} numbers, a multiple of {columns} is expected")
    return np.reshape(np.array(numbers, np.float64), (-1, columns))


def _figure(value: float) -> float | None:
    """NaN, which JSON has no word for, is null."""
    return None if np.isnan(value) else float(value)


def pose_record(pose: Similarity) -> dict[str, Any]:
    """The entries of the header that tell a pose.

    The numbers as they are: a matrix would have to be taken apart again, and its parts would be rounded.
    """
    return {
        "rotation": pose.rotation.ravel().tolist(),
        "translation": pose.translation.tolist(),
        "scale": pose.scale.tolist(),
    }


def pose_from(fields: Fields) -> Similarity:
    """Read a pose; raises ValueError as `estimate_from` does."""
    rotation, translation, scale = (
        fields.numbers(key, count, count)
        for key, count in (("rotation", 9), ("translation", 3), ("scale", 3))
    )
    fields.finish()
    if min(scale) < _SMALLEST:
        raise ValueError(f"a scale is {min(scale):g}, at least {_SMALLEST:g} is expected")
    return Similarity(np.reshape(rotation, (3, 3)), np.array(translation), np.array(scale))
