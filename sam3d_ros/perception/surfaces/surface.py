"""What a support surface is, and the parameters of finding and keeping one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.settings import Settings, parameter

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SurfaceConfig(Settings):
    """Parameters of the surfaces that objects stand on.

    Attributes:
        interval: seconds between two looks for surfaces; they cost a few milliseconds each. 0 = look in every frame.
        level_frame: z of `target_frame` points up, as REP-105 has it. False where it does not, such as in a base on a
            slope: what is up is then told by the image and by what stands on what. So it is without a `target_frame`,
            and where this is the frame of the image itself.
        max_slope: radians; a plane that is steeper is nothing to stand on.
        tolerance: metres from a plane that its points may be; some standard deviations of the sensor count where they
            are more.
        min_points: measured points that a surface has at least.
        min_area: square metres that these span at least.
        max_surfaces: the largest ones are kept.
        max_extent: metres; what was seen of a surface is remembered so far around what is seen of it now.
        lost_timeout: seconds without a sight after which a surface is forgotten, unless objects stand on it.
    """

    interval: float = parameter(1.0, minimum=0.0, maximum=3600.0)
    level_frame: bool = True
    max_slope: float = parameter(0.26, minimum=0.0, maximum=0.8)
    tolerance: float = parameter(0.005, minimum=1e-4, maximum=0.5)
    min_points: int = parameter(40, minimum=10, maximum=100_000)
    min_area: float = parameter(0.01, minimum=1e-4, maximum=100.0)
    max_surfaces: int = parameter(12, minimum=1, maximum=64)
    max_extent: float = parameter(6.0, minimum=0.1, maximum=1000.0)
    lost_timeout: float = parameter(10.0, minimum=0.0, maximum=3600.0)


@dataclass(frozen=True, eq=False)
class FoundSurface:
    """A plane piece of a view that objects may stand on; the plane is z = 0 of its frame, z up.

    Attributes:
        camera_from_surface: pose of its frame, whose origin is the middle of the polygon.
        polygon: (K, 2) corners of the convex hull of what was seen, counter-clockwise, metres in its frame.
        residual: standard deviation of the measured points across the plane, metres.
        sigma: standard deviation of the height of the plane, metres: that of a single measurement, for errors that all
            of them share do not average out.
        instance_ids: of the instances that it is the surface of, where the labels name a table.
        label: class name of most of what has a label; empty where nothing has.
    """

    camera_from_surface: Similarity
    polygon: Array
    residual: float
    sigma: float
    instance_ids: frozenset[int]
    label: str


@dataclass(frozen=True, eq=False)
class SupportSurface:
    """A surface that is tracked.

    Attributes:
        surface_id: 1, 2, ...; stays with the surface as long as it is tracked and is never given again.
        fixed_from_surface: pose of its frame in the frame of tracking: z = 0 is the plane, z up.
        polygon: (K, 2) corners of the convex hull of what was seen of it, counter-clockwise, metres in its frame.
        residual, sigma, label: see `FoundSurface`.
        object_ids: tracks of the objects that stand on it, ascending.
        last_seen: stamp of the last view that showed it, nanoseconds.
    """

    surface_id: int
    fixed_from_surface: Similarity
    polygon: Array
    residual: float
    sigma: float
    label: str
    object_ids: tuple[int, ...]
    last_seen: int
