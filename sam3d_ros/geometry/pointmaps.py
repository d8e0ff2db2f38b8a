"""Point maps: a measured 3D point for each pixel of an image, from depth images and LiDAR."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity, mapped
from sam3d_ros.geometry.point_map import Depth, PointMap, Points

#: Depth samples this close behind the nearest one of a pixel are on its surface: metres, share of depth.
_SURFACE_TOLERANCE = (0.005, 0.01)
#: A gap of a splatted image is closed when this many of its eight neighbours are on one surface.
_NEIGHBOURS_TO_FILL = 4
#: A LiDAR return hides others that are this much farther: metres, share of its depth.
_OCCLUSION_GAP = (0.15, 0.03)
#: Least and largest half width of the window that LiDAR occlusion is judged in, pixels.
_OCCLUSION_WINDOW = (2, 30)


def points_from_depth(depth: NDArray[np.floating], camera: Camera) -> Points:
    """Back-project a depth image to a point map.

    Args:
        depth: (H, W) metres along the optical axis; 0, negative, NaN and Inf mean unknown (REP-117, REP-118).
        camera: intrinsics of the image that the depth is registered to.

    Returns:
        (H, W, 3) float32 points in the optical frame, metres; NaN where the depth is unknown.

    Raises:
        ValueError: the depth has another size than the camera.
    """
    _check_size(depth, camera)
    return PointMap.from_depth(known_depth(depth), camera).points


def known_depth(depth: NDArray[np.floating]) -> Depth:
    """(H, W) float32 metres, NaN where a depth image says unknown: 0, negative, NaN and Inf (REP-117, REP-118)."""
    return np.where((depth > 0) & (depth < np.inf), depth, np.nan).astype(np.float32, copy=False)


def depth_of(points: Points) -> Depth:
    """(H, W) depth along the optical axis of an (H, W, 3) point map, metres, NaN where unknown."""
    return points[..., 2]


def reproject_depth(
    depth: NDArray[np.floating], depth_camera: Camera, rgb_camera: Camera, rgb_from_depth: Similarity
) -> Depth:
    """The depth image that another camera would see, by splatting with a z-buffer.

    A target finer than the measurement is splatted at the measurement's own resolution, so that the
    background does not show through gaps of the foreground, and enlarged along surfaces, not across rims.
    Each sample is moved along the slope of its surface to the centre of the pixel that it falls in, and the
    samples of a pixel's nearest surface are averaged: taking the nearest alone would favour noise towards
    the camera.

    Args:
        depth: (H, W) metres along the optical axis of `depth_camera`; 0, negative, NaN and Inf mean unknown.
        depth_camera: intrinsics of `depth`.
        rgb_camera: intrinsics of the target image, of any size.
        rgb_from_depth: pose of the depth camera in the frame of the target camera, rigid.

    Returns:
        (rgb_camera.height, rgb_camera.width) float32 metres along the optical axis of `rgb_camera`, NaN where
        nothing was seen.

    Raises:
        ValueError: the depth has another size than its camera, or the transform has a scale.
    """
    if not np.allclose(rgb_from_depth.scale, 1.0):
        raise ValueError(f"rgb_from_depth has scale {rgb_from_depth.scale.tolist()}: give a rigid transform")
    points = points_from_depth(depth, depth_camera)
    finer = max(rgb_camera.fx / depth_camera.fx, rgb_camera.fy / depth_camera.fy, 1.0)
    camera = rgb_camera.resized(
        max(1, round(rgb_camera.width / finer)), max(1, round(rgb_camera.height / finer))
    )
    splatted = _closed(_splat(mapped(points, rgb_from_depth.matrix()[:3]), camera))
    return splatted if finer == 1.0 else _enlarged(splatted, rgb_camera.width, rgb_camera.height)


def pointmap_from_lidar(
    points: NDArray[np.floating],
    camera_from_lidar: Similarity,
    camera: Camera,
    *,
    window: tuple[int, int] | None = None,
) -> Points:
    """Project a LiDAR sweep into an image as a sparse point map.

    The nearest return of a pixel wins. Seen from the camera, returns of the background lie between those of
    an object that hides it, because the scanner looks past the object from elsewhere: a return that is
    surrounded by nearer ones, in all four quadrants of a window, is dropped. On a slanted plane the farther
    quadrants hold no nearer return, so that planes survive.

    Args:
        points: (N, 3 or more) metres in the LiDAR frame, further columns are ignored; NaN rows are skipped.
        camera_from_lidar: pose of the scanner in the optical frame.
        camera: intrinsics of the image.
        window: half width and half height of the window, pixels; by default the spacing of the returns.

    Returns:
        (H, W, 3) float32 metres in the optical frame, NaN where there is no return.

    Raises:
        ValueError: the points are not (N, 3 or more).
    """
    if points.ndim != 2 or points.shape[1] < 3:
        raise ValueError(f"LiDAR points are {points.shape}: give (N, 3) or more columns, x y z first")
    seen = camera_from_lidar.apply(points[:, :3])
    pixels = camera.project(seen)
    inside = camera.contains(pixels) & np.isfinite(seen).all(axis=1)
    seen, pixels = seen[inside], np.rint(pixels[inside]).astype(np.intp)
    # Written from far to near, so that the nearest return of a pixel is the one that stays.
    order = np.argsort(-seen[:, 2], kind="stable")
    pointmap = np.full((camera.height, camera.width, 3), np.nan, dtype=np.float32)
    pointmap[pixels[order, 1], pixels[order, 0]] = seen[order]
    if len(seen):
        hidden = _surrounded_by_nearer(depth_of(pointmap), window or _spacing(pixels), _OCCLUSION_GAP)
        pointmap[hidden] = np.nan
    return pointmap


def normals_from_pointmap(points: Points, *, reach: int = 1) -> NDArray[np.float32]:
    """Unit normals of the measured surface, towards the camera, from differences of neighbours.

    Args:
        points: (H, W, 3) metres in the optical frame, NaN = unknown.
        reach: distance to the neighbours, pixels; a longer one suppresses noise and rounds edges.

    Returns:
        (H, W, 3) float32, NaN where one of the four neighbours is unknown.
    """
    normals = np.full(points.shape, np.nan, dtype=np.float32)
    middle = slice(reach, -reach)
    # Plane by plane: numpy is several times slower where the last axis is as short as three.
    planes = np.ascontiguousarray(np.moveaxis(points, -1, 0))
    right = planes[:, middle, 2 * reach :] - planes[:, middle, : -2 * reach]
    down = planes[:, 2 * reach :, middle] - planes[:, : -2 * reach, middle]
    # x right, y down, z forward: down x right points back at the camera.
    cross = [down[i] * right[j] - down[j] * right[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = 1.0 / np.sqrt(cross[0] ** 2 + cross[1] ** 2 + cross[2] ** 2)
        for axis in range(3):
            normals[middle, middle, axis] = cross[axis] * scale
    return normals


def depth_edges(depth: NDArray[np.floating], *, relative: float = 0.03) -> NDArray[np.bool_]:
    """(H, W) known pixels whose 3 x 3 neighbourhood spans more than `relative` of its least depth."""
    known = (depth > 0) & (depth < np.inf)
    image = depth.astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    nearest = cv2.erode(np.where(known, image, np.float32(np.inf)), kernel)
    farthest = cv2.dilate(np.where(known, image, np.float32(0.0)), kernel)
    return np.asarray(known & (farthest - nearest > relative * nearest))


def flying_pixels(depth: NDArray[np.floating], *, relative: float = 0.01) -> NDArray[np.bool_]:
    """Samples that hang in the air between two surfaces, or alone.

    A time-of-flight or stereo sensor mixes foreground and background at a rim. Such a sample differs from its
    neighbours on either side: fewer than three of the eight lie within `relative` of its own depth.

    Args:
        depth: (H, W) metres; 0, negative and NaN mean unknown.
        relative: largest difference of neighbours on one surface, share of the depth.
    """
    image = np.where((depth > 0) & (depth < np.inf), depth, np.nan).astype(np.float32)
    padded = np.pad(image, 1, constant_values=np.nan)
    height, width = image.shape
    tolerance = relative * image
    near = np.zeros(image.shape, dtype=np.uint8)
    for dy, dx in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)):
        near += np.abs(padded[dy : dy + height, dx : dx + width] - image) <= tolerance
    return np.isfinite(image) & (near < 3)


def _check_size(depth: NDArray[np.floating], camera: Camera) -> None:
    if depth.shape != (camera.height, camera.width):
        raise ValueError(
            f"depth is {depth.shape[::-1]} but its camera is {camera.width}x{camera.height}: "
            f"give the camera_info of the depth image, or resize the camera"
        )


def _splat(points: Points, camera: Camera) -> Depth:
    """Z-buffer of an organised (H, W, 3) point map in the frame of the camera; NaN where no sample falls."""
    pixels = camera.project(points)
    u, v = np.ascontiguousarray(pixels[..., 0]), np.ascontiguousarray(pixels[..., 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1.0 / points[..., 2]
        column, row = np.rint(u), np.rint(v)
        change = _change_of_inverse_depth(u, v, inverse, column - u, row - v)
        # A sample may move by a twentieth at most: more is a bad slope, not a surface.
        near = (1.0 / (inverse + np.clip(change, -0.05 * inverse, 0.05 * inverse))).ravel()
        inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    size = camera.width * camera.height
    # Samples outside the image share one cell behind it.
    row, column = np.where(inside, row, 0).astype(np.int32), np.where(inside, column, 0).astype(np.int32)
    index = np.where(inside, row * camera.width + column, size).ravel()
    # Written from far to near. Keys of 16 bits are sorted by radix, ten times as fast as floats are.
    known = np.where(inside, inverse, np.float32(0.0)).ravel()
    order = np.argsort((known * (65535.0 / max(known.max(), 1e-9))).astype(np.uint16), kind="stable")
    nearest = np.full(size + 1, np.inf, dtype=np.float32)
    nearest[index[order]] = near[order]
    absolute, relative = _SURFACE_TOLERANCE
    front = near <= (nearest * (1.0 + relative) + absolute)[index]
    total = np.bincount(index, np.where(front, near, 0.0), minlength=size)[:size]
    count = np.bincount(index, front, minlength=size)[:size]
    with np.errstate(invalid="ignore"):
        return (total / count).astype(np.float32).reshape(camera.height, camera.width)


def _change_of_inverse_depth(
    u: NDArray[np.float32],
    v: NDArray[np.float32],
    inverse: NDArray[np.float32],
    du: NDArray[np.float32],
    dv: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(H, W) change of 1 / z of samples at target pixels (u, v) that move by (du, dv) within their surface.

    On a plane the inverse depth is linear in the pixels of an undistorted camera. Where no neighbour of the
    sensor continues the surface, the sample keeps its depth.
    """
    u2, v2, w2 = _slope(u, 0), _slope(v, 0), _surface_slope(inverse, 0)
    u1, v1, w1 = _slope(u, 1), _slope(v, 1), _surface_slope(inverse, 1)
    determinant = u1 * v2 - u2 * v1
    change = (du * (w1 * v2 - w2 * v1) + dv * (u1 * w2 - u2 * w1)) / determinant
    # Less than a hundredth of a pixel area: the surface is seen edge-on and has no usable slope.
    return np.where(np.abs(determinant) > 0.01, change, np.float32(0.0))


def _slope(image: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Slope of an image along an axis by central differences; zero at the border."""
    moved = np.moveaxis(image, axis, 0)
    slope = np.zeros_like(image)
    np.moveaxis(slope, axis, 0)[1:-1] = (moved[2:] - moved[:-2]) / 2
    return slope


def _surface_slope(inverse: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Slope of an image along an axis by the gentler of its two differences; zero where their signs differ.

    At a rim, the difference towards the other surface is never the gentler one.
    """
    difference = np.diff(np.moveaxis(inverse, axis, 0), axis=0)
    behind, ahead = difference[:-1], difference[1:]
    gentler = np.copysign(np.minimum(np.abs(behind), np.abs(ahead)), ahead)
    slope = np.zeros_like(inverse)
    np.moveaxis(slope, axis, 0)[1:-1] = np.where(behind * ahead > 0, gentler, np.float32(0.0))
    return slope


def _closed(depth: Depth) -> Depth:
    """A splatted depth image without background seen through single-pixel gaps, and without such gaps."""
    depth = np.where(_surrounded_by_nearer(depth, (1, 1), _SURFACE_TOLERANCE), np.float32(np.nan), depth)
    known = np.isfinite(depth)
    box = np.ones((3, 3), np.uint8)
    nearest = cv2.erode(np.where(known, depth, np.float32(np.inf)), box)
    farthest = cv2.dilate(np.where(known, depth, np.float32(0.0)), box)
    absolute, relative = _SURFACE_TOLERANCE
    count = cv2.boxFilter(
        known.astype(np.float32), -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    total = cv2.boxFilter(
        np.where(known, depth, np.float32(0.0)), -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    one_surface = (farthest - absolute) / (1.0 + relative) <= nearest
    gap = ~known & (count > _NEIGHBOURS_TO_FILL - 0.5) & one_surface
    depth[gap] = total[gap] / count[gap]
    return depth


def _enlarged(depth: Depth, width: int, height: int) -> Depth:
    """A depth image at a finer size: linear in the inverse depth on surfaces, the nearest sample at rims."""
    with np.errstate(divide="ignore"):
        inverse = 1.0 / depth
    size = (width, height)
    rim = cv2.resize(depth_edges(depth).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT) > 0
    linear = cv2.resize(inverse, size, interpolation=cv2.INTER_LINEAR)
    nearest = cv2.resize(inverse, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return (1.0 / np.where(np.isfinite(linear) & ~rim, linear, nearest)).astype(np.float32)


def _spacing(pixels: NDArray[np.intp]) -> tuple[int, int]:
    """How far apart neighbouring returns lie in the image, along rows and along columns."""
    low, high = _OCCLUSION_WINDOW
    spacing = []
    for along in (0, 1):
        # Sorted by position within narrow bands; a scan line crosses a band in several returns, so that most
        # differences are within a line and the large ones are from line to line.
        band = pixels[:, 1 - along] // 4
        order = np.lexsort((pixels[:, along], band))
        same_band = np.diff(band[order]) == 0
        gaps = np.diff(pixels[order, along])[same_band]
        gaps = gaps[gaps > 1]
        spacing.append(int(np.clip(1.5 * np.median(gaps) if len(gaps) else low, low, high)))
    return spacing[0], spacing[1]


def _surrounded_by_nearer(
    depth: Depth, window: tuple[int, int], gap: tuple[float, float]
) -> NDArray[np.bool_]:
    """Pixels with a sample nearer by `gap` (metres, share of depth) in each quadrant of their window."""
    half_width, half_height = window
    known = np.isfinite(depth)
    image = np.where(known, depth, np.float32(np.inf))
    absolute, relative = gap
    much_nearer = (image - absolute) / (1.0 + relative)
    surrounded = known
    kernel = np.ones((half_height + 1, half_width + 1), np.uint8)
    for y in (0, half_height):
        for x in (0, half_width):
            surrounded = surrounded & (cv2.erode(image, kernel, anchor=(x, y)) < much_nearer)
    return surrounded
