"""Gaussian splats as arrays, and the file that viewers read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

#: Value of the constant spherical harmonic.
SH_DEGREE_0 = 0.28209479177387814

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Splats:
    """Splats in the canonical frame (z up, cube [-0.5, 0.5]^3).

    Attributes:
        position: (N, 3) float32.
        color: (N, 3) float32 constant spherical harmonic; see `rgb`.
        sigma: (N, 3) float32 standard deviations, canonical units.
        rotation: (N, 4) float32 quaternion w x y z, not normalised.
        opacity_logit: (N, 1) float32.
    """

    position: Array
    color: Array
    sigma: Array
    rotation: Array
    opacity_logit: Array

    def __len__(self) -> int:
        return len(self.position)

    @property
    def unit_rotation(self) -> Array:
        """(N, 4) unit quaternion w x y z."""
        return self.rotation / np.linalg.norm(self.rotation, axis=1, keepdims=True)

    @property
    def opacity(self) -> Array:
        """(N, 1) 0 to 1."""
        return np.asarray(1.0 / (1.0 + np.exp(-self.opacity_logit)), dtype=np.float32)

    @property
    def rgb(self) -> Array:
        """(N, 3) 0 to 1."""
        return np.clip(0.5 + SH_DEGREE_0 * self.color, 0.0, 1.0)

    def turned(self, old_from_new: NDArray[np.float64], scale: float = 1.0) -> Splats:
        """The same splats after the canonical axes are named anew.

        Args:
            old_from_new: (3, 3) rotation from new coordinates to old ones.
            scale: new lengths over old ones.
        """
        turn = Rotation.from_matrix(old_from_new.T)
        turned = turn * Rotation.from_quat(self.unit_rotation[:, [1, 2, 3, 0]])
        return replace(
            self,
            position=(scale * self.position @ old_from_new).astype(np.float32),
            sigma=(scale * self.sigma).astype(np.float32),
            rotation=turned.as_quat()[:, [3, 0, 1, 2]].astype(np.float32),
        )


_PLY_FIELDS = (
    *("x", "y", "z", "nx", "ny", "nz"),
    *("f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)


def write_splats(path: Path, splats: Splats) -> None:
    """Write splats as viewers of Gaussian splatting read them: binary PLY, canonical frame, z up."""
    normal = np.zeros_like(splats.position)
    columns = (
        splats.position,
        normal,
        splats.color,
        splats.opacity_logit,
        np.log(splats.sigma),
        splats.rotation,
    )
    table = np.concatenate(columns, axis=1).astype("<f4")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}"]
    header += [f"property float {name}" for name in _PLY_FIELDS]
    with path.open("wb") as file:
        file.write(("\n".join([*header, "end_header"]) + "\n").encode("ascii"))
        file.write(table.tobytes())
