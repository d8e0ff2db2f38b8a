"""The picture of what was found: mesh outlines, axes and names drawn over the image."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.estimates import ObjectEstimate, VerdictState
from sam3d_ros.perception.fitting.visible_surface import VisibleSurface

Color = tuple[int, int, int]

#: The colours of a verdict: green, amber, red.
VERDICT_COLORS: dict[VerdictState, Color] = {
    VerdictState.ACCEPTED: (46, 160, 67),
    VerdictState.UNCERTAIN: (224, 148, 20),
    VerdictState.REJECTED: (215, 58, 73),
}
#: x red, y green, z blue, as every ROS tool draws them.
AXIS_COLORS: tuple[Color, Color, Color] = ((235, 64, 52), (52, 199, 89), (64, 120, 255))

_TINT = 0.28
_AXIS_SHARE = 0.45
#: Steps of hue and saturation from one id to the next: the powers of 1 / 1.3247 spread points over a square most
#: evenly (Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018).
_HUE_STEP, _SATURATION_STEP = 0.7548777, 0.5698403
_WHITE: Color = (255, 255, 255)
_BLACK: Color = (16, 16, 16)
#: Height of an image for which lines are one unit thick.
_REFERENCE_HEIGHT = 480
#: Pixels in such an image; more objects than a crowd get the smaller one.
_FONT_SIZE, _SMALL_FONT_SIZE, _CROWD = 13, 10, 8
#: Fractional bits of the coordinates that are given to OpenCV.
_SHIFT = 4


def object_color(object_id: int) -> Color:
    """A bright colour that belongs to an id."""
    hue, saturation = (object_id * _HUE_STEP) % 1.0, 0.4 + 0.6 * ((object_id * _SATURATION_STEP) % 1.0)
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_overlay(
    rgb: NDArray[np.uint8], camera: Camera, objects: Sequence[tuple[int, ObjectEstimate]]
) -> NDArray[np.uint8]:
    """Draw objects over the image that they were found in.

    Args:
        rgb: (H, W, 3) uint8.
        camera: its intrinsics; the drawing follows the lens distortion.
        objects: pairs of the id to show and the estimate.

    Returns:
        (H, W, 3) uint8: each silhouette tinted and outlined where no other object hides it, the canonical axes
        at the object's centre, and a tag with id, class name and mask overlap on the colour of the verdict.
    """
    picture = rgb.copy()
    unit = max(1.0, rgb.shape[0] / _REFERENCE_HEIGHT)
    masks = silhouettes(camera, [(estimate.mesh, estimate.camera_from_object) for _, estimate in objects])
    for (object_id, _), mask in zip(objects, masks, strict=True):
        _outline(picture, mask, object_color(object_id), unit)
    for _, estimate in objects:
        _axes(picture, camera, estimate, unit)
    return _tags(picture, camera, objects, masks, unit)


def silhouettes(camera: Camera, posed: Sequence[tuple[Mesh, Similarity]]) -> list[NDArray[np.bool_]]:
    """(H, W) pixels where each mesh is the nearest one; lens distortion included.

    Args:
        camera: the camera that looks.
        posed: meshes with `camera_from_mesh`.
    """
    nearest = np.full((camera.height, camera.width), np.inf)
    owner = np.full((camera.height, camera.width), -1, dtype=np.int32)
    for index, (mesh, camera_from_mesh) in enumerate(posed):
        if len(mesh.triangles) == 0:
            continue
        rows, columns = _window(camera, camera_from_mesh.apply(mesh.vertices))
        rays = camera.rays()[rows, columns]
        known = ~np.isnan(rays[..., 0])
        depth = np.full(known.shape, np.inf)
        depth[known] = VisibleSurface.of(mesh).cast(camera_from_mesh, rays[known].astype(np.float64)).depth
        nearer = depth < nearest[rows, columns]
        nearest[rows, columns][nearer] = depth[nearer]
        owner[rows, columns][nearer] = index
    return [owner == index for index in range(len(posed))]


def _window(camera: Camera, points: NDArray[np.float64]) -> tuple[slice, slice]:
    """Rows and columns around projected points; the whole image if some are behind the camera."""
    pixels = camera.project(points)
    if np.isnan(pixels).any():
        return slice(0, camera.height), slice(0, camera.width)
    size = (camera.width, camera.height)
    low = np.clip(np.floor(pixels.min(axis=0)) - 1, 0, size).astype(int)
    high = np.clip(np.ceil(pixels.max(axis=0)) + 2, 0, size).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _outline(picture: NDArray[np.uint8], mask: NDArray[np.bool_], color: Color, unit: float) -> None:
    if not mask.any():
        return
    picture[mask] = ((1.0 - _TINT) * picture[mask] + _TINT * np.array(color)).astype(np.uint8)
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    # A dark rim below the bright line keeps it visible on any background.
    cv2.drawContours(picture, contours, -1, _BLACK, round(3 * unit), cv2.LINE_AA)
    cv2.drawContours(picture, contours, -1, color, max(1, round(1.5 * unit)), cv2.LINE_AA)


def _axes(picture: NDArray[np.uint8], camera: Camera, estimate: ObjectEstimate, unit: float) -> None:
    """The canonical axes at the centre of the box, each as long as its share of the largest side."""
    if len(estimate.mesh.vertices) == 0:
        return
    length = _AXIS_SHARE * float(estimate.size.max())
    tips = estimate.center + length * estimate.camera_from_object.rotation.T
    pixels = camera.project(np.vstack([estimate.center, tips]))
    # The farthest first, so that axes towards the viewer lie on top.
    for axis in np.argsort(-tips[:, 2]):
        if np.isnan(pixels[[0, axis + 1]]).any():
            continue
        start, end = (_subpixel(pixels[0]), _subpixel(pixels[axis + 1]))
        for color, width in ((_BLACK, 4.0), (AXIS_COLORS[axis], 2.0)):
            cv2.line(picture, start, end, color, max(1, round(width * unit)), cv2.LINE_AA, _SHIFT)


def _subpixel(pixel: NDArray[np.float64]) -> tuple[int, int]:
    x, y = np.clip(pixel, -1e4, 1e4) * (1 << _SHIFT)
    return round(x), round(y)


def _tags(
    picture: NDArray[np.uint8],
    camera: Camera,
    objects: Sequence[tuple[int, ObjectEstimate]],
    masks: Sequence[NDArray[np.bool_]],
    unit: float,
) -> NDArray[np.uint8]:
    """Tags above the silhouettes, moved apart so that none covers another."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image, "RGBA")
    font = ImageFont.load_default(size=(_FONT_SIZE if len(objects) <= _CROWD else _SMALL_FONT_SIZE) * unit)
    pad, gap = 4 * unit, 2 * unit
    placed: list[tuple[float, float, float, float]] = []
    # From the top of the image down, so that a tag in the way is passed downwards.
    order = sorted(range(len(objects)), key=lambda index: _anchor(masks[index], camera, objects[index][1])[1])
    for index in order:
        object_id, estimate = objects[index]
        text = _tag_text(object_id, estimate)
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
        width, height = right - left + 2 * pad, bottom - top + 2 * pad
        x, y = _anchor(masks[index], camera, estimate)
        x = float(np.clip(x - width / 2, 0, max(0.0, camera.width - width)))
        y = float(np.clip(y - height - 2 * gap, 0, max(0.0, camera.height - height)))
        while (hit := _covered((x, y, x + width, y + height), placed)) is not None:
            y = hit + gap
        placed.append((x, y, x + width, y + height))
        color = VERDICT_COLORS[estimate.verdict.state]
        draw.rounded_rectangle((x, y, x + width, y + height), radius=3 * unit, fill=(*color, 225))
        draw.rectangle((x, y, x + 1.5 * pad - gap, y + height), fill=(*object_color(object_id), 255))
        draw.text((x + pad + gap - left, y + pad - top), text, font=font, fill=_WHITE)
    return np.asarray(image, dtype=np.uint8).copy()


def _tag_text(object_id: int, estimate: ObjectEstimate) -> str:
    overlap = estimate.verdict.mask_iou
    parts = [f"#{object_id}", estimate.label, "" if np.isnan(overlap) else f"{overlap:.2f}"]
    return " ".join(part for part in parts if part)


def _anchor(mask: NDArray[np.bool_], camera: Camera, estimate: ObjectEstimate) -> tuple[float, float]:
    """The middle of a silhouette's upper edge; the projected origin if nothing of it is visible."""
    rows, columns = np.nonzero(mask)
    if len(rows):
        return float(columns.min() + columns.max()) / 2, float(rows.min())
    x, y = np.nan_to_num(camera.project(estimate.camera_from_object.translation))
    return float(x), float(y)


def _covered(
    box: tuple[float, float, float, float], others: Sequence[tuple[float, float, float, float]]
) -> float | None:
    """The lower edge of a box that overlaps this one."""
    for left, top, right, bottom in others:
        if box[0] < right and left < box[2] and box[1] < bottom and top < box[3]:
            return bottom
    return None
