"""Parameters of the geometric reconstructor."""

from __future__ import annotations

from dataclasses import dataclass

from sam3d_ros.perception.settings import Settings, parameter


@dataclass(frozen=True)
class GeometricConfig(Settings):
    """All that can be turned; lengths named "share" are shares of the object's diameter.

    Attributes:
        resolution: voxels along the longest side of the grid.
        max_triangles: upper bound for a mesh.
        search_points: observed points that vote on a symmetry.
        min_points: fewer measured points give a REJECTED box.
        shell_share: least thickness of what is seen, as a share of the diameter.
        depth_prior: expected depth of an object whose back nothing tells, as a share of the smaller of its width
            and height.
        max_violation: a symmetry that puts the object deeper into observed free space than this share of its
            footprint's diagonal, on average, is not used.
        plane_tolerance: metres at one metre distance, growing with it: points this near belong to a plane.
        seed: of the plane search.
    """

    resolution: int = parameter(44, minimum=16, maximum=128)
    max_triangles: int = parameter(25_000, minimum=100, maximum=200_000)
    search_points: int = parameter(160, minimum=50, maximum=2000)
    min_points: int = parameter(6, minimum=1, maximum=5000)
    shell_share: float = parameter(0.03, minimum=0.005, maximum=0.2)
    depth_prior: float = parameter(0.6, minimum=0.1, maximum=2.0)
    max_violation: float = parameter(0.02, minimum=0.001, maximum=0.2)
    plane_tolerance: float = parameter(0.008, minimum=1e-4, maximum=0.1)
    seed: int = parameter(0, minimum=0, maximum=2**31 - 1)
