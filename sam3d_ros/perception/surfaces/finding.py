"""The surfaces of one view: tables, boards of a shelf, floors; from a depth image or the rings of a LiDAR.

Surfaces that carry something are level. Once it is known what is up, each of them is a peak among the heights of the
points, however few points it has; what hangs together of it in the image is one surface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.polygons import convex_hull, depth_inside_hull, polygon_area, shared_polygon
from sam3d_ros.perception.evidence import Overview
from sam3d_ros.perception.surfaces.planes import fitted_plane, strongest_planes, uprightness
from sam3d_ros.perception.surfaces.surface import FoundSurface, SurfaceConfig

Array = NDArray[np.float64]

#: With a smaller share of measured cells the grid has no neighbours, and all that is measured is looked at.
_DENSE_SHARE = 0.25
#: About so many of its cells are enough.
_ENOUGH_CELLS = 3600
#: Standard deviations of the sensor that a point of a plane may be off it.
_NOISES = 2.5
#: Cells from which the slope at a cell is told, and the steepest that noise makes level ground look, as a cosine.
_SLOPE_CELLS, _LEVEL_COSINE = 2, 0.64
#: Tolerances that a cell may be off those beside it, or there is an edge.
_EDGE = 2.0
#: Neighbours that tell the slope of a point that is in no grid, and the spread of these that does, in standard
#: deviations of the sensor.
_NEIGHBOURS, _IN_LINE = 12, 3.0
#: Of how many planes the level one is chosen, the share of points each has at least, and the seed of their search.
_CANDIDATES, _LEAST_SHARE, _SEED = 4, 0.06, 0
#: A plane faces up by the image where the camera looks down on it less steeply than 70 degrees.
_UP_IN_IMAGE = -0.34
#: An instance stands on a plane when so much of it is above, and its lowest points are so near, as a share of its size.
_ABOVE_SHARE, _CONTACT, _LOWEST = 0.8, 0.3, 5.0
#: Tolerances around a peak of the heights that the first and further fits take points from: up may be known badly.
_BANDS = (3.0, 2.0, 1.0, 1.0)
#: What is left within so many tolerances of a plane belongs to it, and is no other one.
_TAKEN = 2.5
#: Peaks that are looked at for each surface that may be kept.
_PEAKS = 3
#: A surface is wider than this share of its length; the line where a plane meets a wall is not.
_LEAST_WIDTH = 0.04
#: About so many points tell whether a surface is more than a line.
_SPREAD_POINTS = 200
#: Of the cells of a surface, those beside no edge, and the cosine of their mean slope to it.
_SMOOTH_SHARE, _ALONG = 0.1, 0.92
#: Beyond this component along x of the camera, a normal has no use for that axis.
_ALONG_X = 0.9
#: Cells between two points of one surface, at their average density.
_GAP = 2.5
#: Of the measured points of an instance, those on a plane that is its surface; and of a surface, what instances have.
_FLAT_SHARE, _OWN_SHARE = 0.7, 0.5


@dataclass(frozen=True, eq=False)
class _Points:
    """What of a view is looked at; a point whose normal is not known may be on anything.

    Attributes:
        place: (N, 3) metres, optical frame.
        cell: (N, 2) row and column in the grid of the overview.
        label: (N,) instance of each.
        normal: (N, 3) unit normals, NaN where they are not known.
        tolerance: (N,) metres that each may be off a plane.
        in_grid: whether each was measured beside others, at a cell; otherwise they are scattered.
    """

    place: Array
    cell: NDArray[np.intp]
    label: NDArray[np.uint16]
    normal: Array
    tolerance: Array
    in_grid: bool


def find_surfaces(
    overview: Overview, name_of: Callable[[int], str], config: SurfaceConfig
) -> tuple[FoundSurface, ...]:
    """The surfaces of a view that objects may stand on, the largest first.

    Args:
        overview: the view.
        name_of: class name of an instance.
        config: parameters.
    """
    points = _looked_at(overview, config)
    if len(points.place) < config.min_points:
        return ()
    up = _level_up(overview, config)
    if up is None:
        up = _seen_up(points)
    if up is None:
        return ()
    found: list[FoundSurface] = []
    for normal, offset, inliers in _level_planes(points, up, config):
        for part in _connected(points, inliers, overview.labels):
            surface = _surface(points, part, normal, offset, name_of, config)
            if surface is not None and not any(_is_same(surface, other) for other in found):
                found.append(surface)
    found.sort(key=lambda surface: -polygon_area(surface.polygon))
    return tuple(found[: config.max_surfaces])


def _looked_at(overview: Overview, config: SurfaceConfig) -> _Points:
    noise, grid = overview.range_noise, overview.points
    known = np.isfinite(grid[..., 2])
    count = int(np.count_nonzero(known))
    if count >= _DENSE_SHARE * known.size:
        step = max(1, round((count / _ENOUGH_CELLS) ** 0.5))
        cell = step * np.argwhere(known[::step, ::step])
        place = grid[cell[:, 0], cell[:, 1]].astype(np.float64)
        spread = noise.floor + noise.growth * place[:, 2] ** 2
        normal = _normals_in_grid(grid, cell, _NOISES * spread)
    else:
        place = overview.background.astype(np.float64)
        last = np.array(overview.grid_shape) - 1
        pixel = np.nan_to_num(overview.camera.project(place))[:, ::-1]
        cell = np.clip(np.rint(pixel / overview.stride), 0, last).astype(np.intp)
        spread = noise.floor + noise.growth * place[:, 2] ** 2
        normal = _normals_among(place, spread)
    return _Points(
        place=place,
        cell=cell,
        label=overview.labels[cell[:, 0], cell[:, 1]],
        normal=normal,
        tolerance=np.maximum(config.tolerance, _NOISES * spread),
        in_grid=count >= _DENSE_SHARE * known.size,
    )


def _normals_in_grid(grid: NDArray[np.float32], cell: NDArray[np.intp], tolerance: Array) -> Array:
    """(N, 3) unit normals at cells, from the points some cells beside; NaN at the border, at gaps and at edges.

    Args:
        grid: (r, c, 3) points.
        cell: (N, 2) row and column.
        tolerance: (N,) metres that a point may be off the middle of those on both sides of it.
    """
    last = np.array(grid.shape[:2]) - 1
    here, sides = grid[cell[:, 0], cell[:, 1]], []
    is_smooth = np.ones(len(cell), bool)
    for direction in ((0, _SLOPE_CELLS), (_SLOPE_CELLS, 0)):
        ahead, behind = cell + direction, cell - direction
        inside = (behind >= 0).all(axis=1) & (ahead <= last).all(axis=1)
        ahead, behind = np.minimum(ahead, last), np.maximum(behind, 0)
        after, before = grid[ahead[:, 0], ahead[:, 1]], grid[behind[:, 0], behind[:, 1]]
        sides.append((after - before).astype(np.float64))
        # The inverse depth of a plane is linear in the image. Beyond an edge there is another plane.
        middle = 2.0 / (1.0 / after[:, 2] + 1.0 / before[:, 2])
        with np.errstate(invalid="ignore"):
            is_smooth &= inside & (np.abs(middle - here[:, 2]) < _EDGE * tolerance)
    normal = np.cross(sides[1], sides[0])
    normal[~is_smooth] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(normal / np.linalg.norm(normal, axis=1, keepdims=True))


def _normals_among(place: Array, spread: Array) -> Array:
    """(N, 3) unit normals, towards the sensor, of scattered points from those around; NaN where these are in line."""
    if len(place) < _NEIGHBOURS:
        return np.full((len(place), 3), np.nan)
    _, nearest = cKDTree(place).query(place, k=_NEIGHBOURS)
    around = place[nearest] - place[nearest].mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(np.einsum("nki,nkj->nij", around, around) / _NEIGHBOURS)
    normal = (
        vectors[..., 0] * np.where(np.einsum("ni,ni->n", vectors[..., 0], place) > 0.0, -1.0, 1.0)[:, None]
    )
    normal[values[:, 1] < (_IN_LINE * spread) ** 2] = np.nan
    return np.asarray(normal)


def _level_up(overview: Overview, config: SurfaceConfig) -> Array | None:
    """(3,) up in the optical frame, where the frame of tracking tells it."""
    pose = overview.fixed_from_camera
    # A frame that is the camera's own has its z forward.
    if not config.level_frame or pose is None or np.array_equal(pose.rotation, np.eye(3)):
        return None
    return np.asarray(pose.rotation[2])


def _seen_up(points: _Points) -> Array | None:
    """(3,) up in the optical frame: the normal of the plane that is level by the image, or by what stands on it."""
    samples = [points.place[points.label == instance] for instance in np.unique(points.label) if instance]
    rng = np.random.default_rng(_SEED)
    best, best_score = None, 0.0
    planes = strongest_planes(points.place, points.tolerance, rng, most=_CANDIDATES, least_share=_LEAST_SHARE)
    for plane in planes:
        carried = sum(_stands(sample @ plane.normal - plane.offset, sample) for sample in samples)
        carried /= max(1, len(samples))
        share = len(plane.inliers) / len(points.place)
        if plane.normal[1] < _UP_IN_IMAGE or carried > 0.0:
            score = float(np.sqrt(share) * (0.1 + carried) * uprightness(plane.normal))
            if score > best_score:
                best, best_score = plane.normal, score
    return best


def _stands(heights: Array, points: Array) -> float:
    """Whether points at some heights over a plane are of something that stands on it, 0 or 1."""
    size = max(float(np.linalg.norm(np.ptp(points, axis=0))), 1e-3)
    is_above = np.mean(heights > -0.05 * size) > _ABOVE_SHARE and np.max(heights) > 0.1 * size
    return float(is_above and float(np.percentile(heights, _LOWEST)) < _CONTACT * size)


def _level_planes(
    points: _Points, up: Array, config: SurfaceConfig
) -> Iterator[tuple[Array, float, NDArray[np.intp]]]:
    """Normal, offset and points of one plane after another, the one with the most points first."""
    with np.errstate(invalid="ignore"):
        steep = points.normal @ up < _LEVEL_COSINE
    left = ~steep
    for _ in range(_PEAKS * config.max_surfaces):
        if np.count_nonzero(left) < config.min_points:
            return
        place, tolerance = points.place[left], points.tolerance[left]
        fitted = _fitted_at_peak(place, tolerance, up, config)
        if fitted is None:
            return
        normal, offset = fitted
        off = np.abs(points.place @ normal - offset)
        inliers = np.flatnonzero(left & (off < points.tolerance))
        if len(inliers) < config.min_points:
            # The fit left its peak; the others may still be found.
            left &= ~(off < _TAKEN * points.tolerance)
            continue
        yield normal, offset, inliers
        left &= ~(off < _TAKEN * points.tolerance)


def _fitted_at_peak(
    place: Array, tolerance: Array, up: Array, config: SurfaceConfig
) -> tuple[Array, float] | None:
    """Normal and offset of the plane at the height that most points have; None where too few have one."""
    heights = place @ up
    order = np.argsort(heights)
    ordered, reach = heights[order], tolerance[order]
    counts = np.searchsorted(ordered, ordered + reach) - np.searchsorted(ordered, ordered - reach)
    best = int(np.argmax(counts))
    if counts[best] < config.min_points:
        return None
    normal, offset = up, float(ordered[best])
    for band in _BANDS:
        near = np.abs(place @ normal - offset) < band * tolerance
        if np.count_nonzero(near) < config.min_points:
            break
        normal, offset = fitted_plane(place[near], tolerance[near])
        if normal @ up < 0.0:
            normal, offset = -normal, -offset
        if normal @ up < np.cos(config.max_slope):
            normal, offset = up, float(np.median(place[near] @ up))
    return normal, offset


def _connected(
    points: _Points, inliers: NDArray[np.intp], labels: NDArray[np.uint16]
) -> Iterator[NDArray[np.intp]]:
    """What hangs together of a plane in the image; what stands on it does not part it."""
    cell = points.cell[inliers]
    on_plane = np.zeros(labels.shape, np.uint8)
    on_plane[cell[:, 0], cell[:, 1]] = 1
    rows, columns = np.ptp(cell, axis=0) + 1
    gap = int(np.ceil(_GAP * np.sqrt(rows * columns / len(cell)) / 2.0))
    kernel = np.ones((2 * gap + 1, 2 * gap + 1), np.uint8)
    bridge = (labels > 0).astype(np.uint8)
    _, parts = cv2.connectedComponents(cv2.dilate(on_plane, kernel) | bridge, connectivity=8)
    part = parts[cell[:, 0], cell[:, 1]]
    for name in np.unique(part):
        yield inliers[part == name]


def _surface(
    points: _Points,
    part: NDArray[np.intp],
    normal: Array,
    offset: float,
    name_of: Callable[[int], str],
    config: SurfaceConfig,
) -> FoundSurface | None:
    """A part of a plane as a surface; None where it is none, but the flat top of a thing."""
    if len(part) < config.min_points:
        return None
    place = points.place[part]
    frame = _frame_on(normal, offset, place)
    flat = frame.apply_inverse(place)[:, :2]
    if not _is_spread(flat, float(np.median(points.tolerance[part]))) or not _is_along(points, part, normal):
        return None
    hull = convex_hull(flat)
    area = polygon_area(hull)
    if len(hull) < 3 or area < config.min_area or area < _LEAST_WIDTH * _longest(hull) ** 2:
        return None
    middle = frame.apply(np.array([*(hull.min(axis=0) + hull.max(axis=0)) / 2.0, 0.0]))
    polygon = hull - frame.apply_inverse(middle)[:2]
    pose = Similarity(frame.rotation, middle)
    label, count = np.unique(points.label[part], return_counts=True)
    own = frozenset(
        instance
        for instance, on in zip(label.tolist(), count.tolist(), strict=True)
        if instance and on > _FLAT_SHARE * np.count_nonzero(points.label == instance)
    )
    has_label = float(count[label > 0].sum()) > _OWN_SHARE * len(part)
    if has_label and not _carries(points, own, pose, polygon):
        return None
    largest = int(label[label > 0][np.argmax(count[label > 0])]) if has_label else 0
    off = place @ normal - offset
    return FoundSurface(
        camera_from_surface=pose,
        polygon=polygon,
        residual=float(np.std(off)),
        sigma=float(np.median(points.tolerance[part])) / _NOISES,
        instance_ids=own,
        label=name_of(largest) if largest else "",
    )


def _is_spread(flat: Array, tolerance: float) -> bool:
    """Whether most of (N, 2) points do not lie in one line, as those do where a plane cuts a wall."""
    sample = flat[:: max(1, len(flat) // _SPREAD_POINTS)]
    middle = sample - sample.mean(axis=0)
    across = middle @ np.linalg.eigh(middle.T @ middle)[1][:, 0]
    low, high = len(across) // 4, (3 * len(across)) // 4
    ordered = np.partition(across, (low, high))
    return bool(ordered[high] - ordered[low] > tolerance)


def _is_along(points: _Points, part: NDArray[np.intp], normal: Array) -> bool:
    """Whether a part of a plane has its slope; what only edges of other things make of one, has not."""
    if not points.in_grid:
        return True
    slopes = points.normal[part]
    slopes = slopes[np.isfinite(slopes[:, 0])]
    mean = slopes.sum(axis=0)
    return len(slopes) > _SMOOTH_SHARE * len(part) and bool(mean @ normal > _ALONG * np.linalg.norm(mean))


def _carries(points: _Points, own: frozenset[int], pose: Similarity, polygon: Array) -> bool:
    """Whether an instance stands on a surface that is another instance."""
    if not own:
        return False
    for instance in np.unique(points.label):
        if instance and int(instance) not in own:
            local = pose.apply_inverse(points.place[points.label == instance])
            inside = depth_inside_hull(np.median(local[:, :2], axis=0)[None], polygon)[0] > 0.0
            if inside and _stands(local[:, 2], local):
                return True
    return False


def _frame_on(normal: Array, offset: float, place: Array) -> Similarity:
    """A frame on a plane near (N, 3) points: z is its normal, x to the right in the image, forward if up is right."""
    axis = np.eye(3)[0 if abs(normal[0]) < _ALONG_X else 2]
    x = axis - (axis @ normal) * normal
    x /= np.linalg.norm(x)
    middle = place.mean(axis=0)
    origin = middle - (middle @ normal - offset) * normal
    return Similarity(np.stack([x, np.cross(normal, x), normal], axis=1), origin)


def _longest(hull: Array) -> float:
    """The longest way between two corners, metres."""
    return float(np.linalg.norm(hull[:, None] - hull[None], axis=2).max())


def _is_same(surface: FoundSurface, other: FoundSurface) -> bool:
    """Whether a surface is what noise left of another one that was found before."""
    local = other.camera_from_surface.inverse() @ surface.camera_from_surface
    if abs(local.translation[2]) > 2.0 * _TAKEN * _NOISES * other.sigma:
        return False
    corners = np.column_stack([surface.polygon, np.zeros(len(surface.polygon))])
    seen_from_above = convex_hull(local.apply(corners)[:, :2])
    if len(seen_from_above) < 3:
        return True
    return polygon_area(shared_polygon(seen_from_above, other.polygon)) > 0.5 * polygon_area(seen_from_above)
