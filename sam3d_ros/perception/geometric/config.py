"""Parameters of the geometric reconstructor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GeometricConfig:
    """All that can be turned; lengths named "share" are shares of the object's diameter.

    Attributes:
        resolution: voxels along the longest side of the grid; 16 to 128.
        max_triangles: upper bound for a mesh; 100 to 200000.
        search_points: observed points that vote on a symmetry; 50 to 2000.
        min_points: fewer measured points give a REJECTED box; 1 or more.
        shell_share: least thickness of what is seen, as a share of the diameter; 0.005 to 0.2.
        depth_prior: expected depth of an object whose back nothing tells, as a share of the smaller of its width
            and height; 0.1 to 2.
        max_violation: a symmetry that puts the object deeper into observed free space than this share of its
            footprint's diagonal, on average, is not used; 0.001 to 0.2.
        plane_tolerance: metres at one metre distance, growing with it: points this near belong to a plane.
        seed: of the plane search.
    """

    resolution: int = 44
    max_triangles: int = 25_000
    search_points: int = 160
    min_points: int = 6
    shell_share: float = 0.03
    depth_prior: float = 0.6
    max_violation: float = 0.02
    plane_tolerance: float = 0.008
    seed: int = 0

    def __post_init__(self) -> None:
        if not 16 <= self.resolution <= 128:
            raise ValueError(f"resolution is {self.resolution}: give 16 to 128 voxels")
        if self.max_triangles < 100:
            raise ValueError(f"max_triangles is {self.max_triangles}: a closed mesh needs at least 100 here")
        if self.search_points < 50 or self.min_points < 1:
            raise ValueError(
                f"search_points {self.search_points} and min_points {self.min_points}: give at least 50 and 1"
            )
