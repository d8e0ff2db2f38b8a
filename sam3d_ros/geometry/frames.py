"""Similarity transforms and the frame conventions of the package.

This module alone knows how the frames of cameras, files and networks differ. A transform is named
`target_from_source`: `camera_from_object.apply(points_in_object)` gives points in the camera frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]
Floating = TypeVar("Floating", np.float32, np.float64)

_ORTHONORMAL_TOLERANCE = 1e-5
_UNIFORM_TOLERANCE = 1e-9

#: PyTorch3D camera (x left, y up, z forward) to the optical frame (x right, y down, z forward), and back.
OPTICAL_FROM_PYTORCH3D: Array = np.diag([-1.0, -1.0, 1.0])
#: Canonical object frame (z up) to the y-up frame of GLB files: (x, y, z) -> (x, z, -y).
GLB_FROM_CANONICAL: Array = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
#: Camera body (x forward, y left, z up; REP-103) from optical: (x, y, z) -> (z, -x, -y).
BODY_FROM_OPTICAL: Array = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


_IDENTITY3: Array = np.eye(3)


def _identity3() -> Array:
    return _IDENTITY3


def _zeros3() -> Array:
    return np.zeros(3)


def _ones3() -> Array:
    return np.ones(3)


@dataclass(frozen=True, eq=False)
class Similarity:
    """The map `p_target = rotation @ (scale * p_source) + translation`.

    Attributes:
        rotation: (3, 3) float64, proper and orthonormal; acts on column vectors.
        translation: (3,) float64, metres, in the target frame.
        scale: (3,) float64, positive, along the source axes; a scalar is broadcast.

    Raises:
        ValueError: a shape is wrong, a number is not finite, the rotation is not a rotation, or a scale is
            not positive.
    """

    rotation: Array = field(default_factory=_identity3)
    translation: Array = field(default_factory=_zeros3)
    scale: Array = field(default_factory=_ones3)

    def __post_init__(self) -> None:
        rotation = np.array(self.rotation, dtype=np.float64)
        translation = np.array(self.translation, dtype=np.float64)
        scale = np.array(self.scale, dtype=np.float64)
        if scale.shape != (3,):
            scale = np.array(np.broadcast_to(scale, (3,)))
        if rotation.shape != (3, 3) or translation.shape != (3,):
            raise ValueError(
                f"rotation is {rotation.shape} and translation {translation.shape}: give (3, 3) and (3,)"
            )
        # Every frame makes dozens of these: on so few numbers plain floats are ten times as quick as arrays.
        rows, scales = rotation.tolist(), scale.tolist()
        if not all(map(math.isfinite, chain(*rows, translation.tolist(), scales))):
            raise ValueError(
                "a similarity needs finite numbers: rotation, translation or scale has NaN or Inf"
            )
        error, determinant = _orthonormality_error(rows), _determinant(rows)
        if error > _ORTHONORMAL_TOLERANCE or determinant < 0:
            raise ValueError(
                f"rotation is not a proper rotation (orthonormality error {error:.2g}, determinant "
                f"{determinant:.3f}): put scale into `scale` and reflections into the mesh"
            )
        if min(scales) <= 0:
            raise ValueError(f"scale is {scales}: every entry must be positive")
        for name, value in (("rotation", rotation), ("translation", translation), ("scale", scale)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    @staticmethod
    def from_matrix(matrix: ArrayLike) -> Similarity:
        """Split a (4, 4) matrix `[R diag(s) | t]` into rotation, translation and scale.

        Raises:
            ValueError: the matrix is not 4x4 affine, or has shear or a reflection.
        """
        m = np.asarray(matrix, dtype=np.float64)
        if m.shape != (4, 4) or not np.allclose(m[3], (0.0, 0.0, 0.0, 1.0)):
            raise ValueError(f"a 4x4 matrix with last row 0 0 0 1 is expected, got shape {m.shape}")
        scale = np.linalg.norm(m[:3, :3], axis=0)
        if (scale == 0).any():
            raise ValueError("the matrix is singular: a column of its 3x3 part is zero")
        return Similarity(orthonormalized(m[:3, :3] / scale), m[:3, 3], scale)

    @staticmethod
    def from_quaternion(
        quaternion_xyzw: ArrayLike, translation: ArrayLike = (0.0, 0.0, 0.0), scale: ArrayLike = 1.0
    ) -> Similarity:
        """Build from a quaternion in ROS order x y z w (normalised here; zero length is refused)."""
        rotation = Rotation.from_quat(np.asarray(quaternion_xyzw, dtype=np.float64)).as_matrix()
        return Similarity(
            rotation, np.asarray(translation, dtype=np.float64), np.asarray(scale, dtype=np.float64)
        )

    @property
    def is_uniform(self) -> bool:
        """Whether the three scales agree."""
        scale = self.scale.tolist()
        return bool(max(scale) - min(scale) <= _UNIFORM_TOLERANCE * max(scale))

    def matrix(self) -> Array:
        """The (4, 4) matrix `[R diag(s) | t]`."""
        m = np.zeros((4, 4))
        m[3, 3] = 1.0
        m[:3, :3] = self.rotation * self.scale
        m[:3, 3] = self.translation
        return m

    def quaternion(self) -> Array:
        """(4,) unit quaternion x y z w with w >= 0; of a half turn, the one whose first entry is positive.

        Of the four forms of the inverse (Shepperd 1978), the one that divides by the largest number.
        """
        (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = self.rotation.tolist()
        squares = (xx - yy - zz, yy - xx - zz, zz - xx - yy, xx + yy + zz)
        largest = squares.index(max(squares))
        forms = (
            (1.0 + squares[0], xy + yx, xz + zx, zy - yz),
            (xy + yx, 1.0 + squares[1], yz + zy, xz - zx),
            (xz + zx, yz + zy, 1.0 + squares[2], yx - xy),
            (zy - yz, xz - zx, yx - xy, 1.0 + squares[3]),
        )
        x, y, z, w = forms[largest]
        length = math.sqrt(x * x + y * y + z * z + w * w)
        if (w, x, y, z) < (0.0, 0.0, 0.0, 0.0):
            length = -length
        return np.array((x, y, z, w)) / length

    def apply(self, points: ArrayLike) -> Array:
        """Map (..., 3) points from the source to the target frame, as float64; NaN stays NaN."""
        return mapped(np.asarray(points, dtype=np.float64), self.matrix()[:3])

    def apply_inverse(self, points: ArrayLike) -> Array:
        """Map (..., 3) points from the target back to the source frame, also for three unequal scales."""
        linear = self.rotation.T / self.scale[:, None]
        return mapped(np.asarray(points, dtype=np.float64) - self.translation, linear)

    def rotate(self, vectors: ArrayLike) -> Array:
        """Turn (..., 3) directions from the source to the target frame: no scale, no translation."""
        return mapped(np.asarray(vectors, dtype=np.float64), self.rotation)

    def rigid(self) -> Similarity:
        """The same rotation and translation with scale one."""
        return Similarity(self.rotation, self.translation)

    def inverse(self) -> Similarity:
        """`source_from_target`.

        Raises:
            ValueError: the scales differ. The inverse of such a map scales after it rotates and is no
                `Similarity`; use `apply_inverse`.
        """
        if not self.is_uniform:
            raise ValueError(
                f"scales {self.scale.tolist()} differ: no inverse of this form, use apply_inverse"
            )
        scale = 1.0 / self.scale
        return Similarity(self.rotation.T, -scale * (self.rotation.T @ self.translation), scale)

    def __matmul__(self, other: Similarity) -> Similarity:
        """`(c_from_b @ b_from_a).apply(p) == c_from_b.apply(b_from_a.apply(p))`.

        Raises:
            ValueError: the left scale is not uniform, so that the product would shear.
        """
        if not isinstance(other, Similarity):
            return NotImplemented
        if not self.is_uniform:
            raise ValueError(f"left scales {self.scale.tolist()} differ: the product would shear")
        return Similarity(
            _straightened(self.rotation @ other.rotation),
            self.apply(other.translation),
            self.scale * other.scale,
        )


def mapped(points: NDArray[Floating], matrix: ArrayLike) -> NDArray[Floating]:
    """`matrix @ p` for each of many points, or `matrix @ (p, 1)`, without the threads of a matrix library.

    A product of (N, 3) with (3, 3) wakes all threads of OpenBLAS: 170 ms for 300,000 points on two busy cores,
    against 0.3 ms here.

    Args:
        points: (..., 3) float32 or float64.
        matrix: (3, 3), or (3, 4) with a translation in its last column.

    Returns:
        (..., 3) of the dtype of the points.
    """
    if points.size == 0:
        return points.copy()
    flat = np.ascontiguousarray(points).reshape(1, -1, 3)
    return cv2.transform(flat, np.asarray(matrix, dtype=np.float64)).reshape(points.shape)


def orthonormalized(matrix: ArrayLike) -> Array:
    """The orthogonal matrix nearest to a (3, 3) matrix, by its polar decomposition.

    Keeps the sign of the determinant, so that a reflection is still seen as one by `Similarity`.
    """
    u, _, vt = np.linalg.svd(np.asarray(matrix, dtype=np.float64))
    return np.asarray(u @ vt)


def turned_covariance(covariance: Array, target_from_source: Array) -> Array:
    """A (6, 6) covariance about an object's own origin, with its axes turned by a (3, 3) rotation.

    Order x y z rotX rotY rotZ; position and rotation vector turn alike.
    """
    turn = np.zeros((6, 6))
    turn[:3, :3] = turn[3:, 3:] = target_from_source
    return np.asarray(turn @ covariance @ turn.T)


def _straightened(product: Array) -> Array:
    """A product of two rotations without what rounding adds: a step of Newton's to its polar factor.

    The step squares an error that is small already (Higham 1986).
    """
    return np.asarray(product @ (1.5 * _IDENTITY3 - 0.5 * (product.T @ product)))


def _orthonormality_error(rows: Sequence[Sequence[float]]) -> float:
    """The largest entry of `R R^T - I`."""
    (a, b, c), (d, e, f), (g, h, i) = rows
    return max(
        abs(a * a + b * b + c * c - 1.0),
        abs(d * d + e * e + f * f - 1.0),
        abs(g * g + h * h + i * i - 1.0),
        abs(a * d + b * e + c * f),
        abs(a * g + b * h + c * i),
        abs(d * g + e * h + f * i),
    )


def _determinant(rows: Sequence[Sequence[float]]) -> float:
    (a, b, c), (d, e, f), (g, h, i) = rows
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def optical_from_pytorch3d(points: ArrayLike) -> Array:
    """(..., 3) points of a PyTorch3D camera (x left, y up) in the optical frame; its own inverse."""
    return np.asarray(points, dtype=np.float64) @ OPTICAL_FROM_PYTORCH3D.T


def glb_from_canonical(points: ArrayLike) -> Array:
    """(..., 3) canonical points (z up) in the y-up frame of GLB files: (x, z, -y)."""
    return np.asarray(points, dtype=np.float64) @ GLB_FROM_CANONICAL.T


def canonical_from_glb(points: ArrayLike) -> Array:
    """(..., 3) points of a GLB file (y up) in the canonical frame (z up): (x, -z, y)."""
    return np.asarray(points, dtype=np.float64) @ GLB_FROM_CANONICAL


def camera_from_object_of_sam3d(
    quaternion_wxyz: ArrayLike, translation: ArrayLike, scale: ArrayLike
) -> Similarity:
    """The pose that SAM 3D Objects predicts, as an active transform in the optical frame.

    The network's quaternion acts on row vectors in a PyTorch3D camera: `p = s * p_object @ R + t`. Hence the
    active rotation is the transpose, followed by the flip of x and y.

    Args:
        quaternion_wxyz: (4,) w x y z, as the network gives it.
        translation: (3,) metres, PyTorch3D camera frame.
        scale: scalar or (3,), metres for one canonical unit.
    """
    w, x, y, z = np.asarray(quaternion_wxyz, dtype=np.float64)
    row_rotation = Rotation.from_quat([x, y, z, w]).as_matrix()
    return Similarity(
        OPTICAL_FROM_PYTORCH3D @ row_rotation.T,
        optical_from_pytorch3d(translation),
        np.asarray(scale, dtype=np.float64),
    )
