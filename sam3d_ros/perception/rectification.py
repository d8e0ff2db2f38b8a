"""Frames and evidence without lens distortion: carving projects a hundred thousand points and wants a plain pinhole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.instance_table import instance_table
from sam3d_ros.perception.prompts import KeypointPrompt
from sam3d_ros.perception.window import straightened_window

#: Points on each edge of a box that is moved; the sag between them is far below a pixel.
_EDGE_POINTS = 17


def rectified(frame: Frame) -> Frame:
    """The frame as a camera with the same K and no distortion sees it; the frame itself where there is none.

    Pixels are taken from their nearest neighbours, so that labels stay labels and points stay measured points. Boxes
    are those around what their outline becomes. Boxes and keypoints that no pinhole sees are left out.
    """
    camera = frame.camera
    if not camera.is_distorted:
        return frame
    pinhole = camera.undistorted()
    pixels = camera.project(pinhole.rays())
    inside = camera.contains(pixels)
    u, v = np.where(inside[..., None], np.rint(pixels), -10.0).astype(np.float32).transpose(2, 0, 1)

    def moved(image: NDArray[Any], beyond: float) -> NDArray[Any]:
        fill = (beyond,) * 4
        return cv2.remap(image, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=fill)

    def places(pixels: NDArray[np.floating]) -> NDArray[np.float32]:
        return np.asarray(pinhole.project(camera.rays_at(pixels)), dtype=np.float32)

    boxes = {i: _around(places(_outline(box)), pinhole) for i, box in frame.boxes.items()}
    prompts = (_visible(prompt, places(prompt.pixels), pinhole) for prompt in frame.prompts)
    return replace(
        frame,
        rgb=moved(frame.rgb, 0),
        labels=moved(frame.labels, 0),
        point_map=PointMap(moved(frame.points, np.nan)),
        camera=pinhole,
        boxes={i: box for i, box in boxes.items() if (box[:2] < box[2:]).all()},
        prompts=tuple(prompt for prompt in prompts if prompt is not None),
    )


def rectified_evidence(evidence: Evidence) -> Evidence | None:
    """The same for evidence; None where no pixel of the instance is left. Overview and other views stay as they are."""
    camera = evidence.camera
    if not camera.is_distorted:
        return evidence
    pinhole, window = camera.undistorted(), straightened_window(evidence.box, camera)
    # Rounded before it is shifted, so that a part is the same as the whole.
    pixels = np.rint(camera.project(pinhole.rays()[window.slices]))
    pixels -= (evidence.window.left, evidence.window.top)
    u, v = np.where(np.isfinite(pixels), pixels, -10.0).astype(np.float32).transpose(2, 0, 1)

    def moved(image: NDArray[Any], beyond: float) -> NDArray[Any]:
        fill = (beyond,) * 4
        return cv2.remap(image, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=fill)

    labels = moved(evidence.labels, 0)
    table = instance_table(labels)
    row = table.index(evidence.instance_id)
    if row is None:
        return None
    return replace(
        evidence,
        camera=pinhole,
        pixels=int(table.areas[row]),
        box=table.window(row).moved(window.top, window.left),
        window=window,
        rgb=moved(evidence.rgb, 0),
        labels=labels,
        point_map=PointMap(moved(evidence.points, np.nan)),
    )


def _outline(box: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, 2) pixels along the edges of a box; lens distortion bends them between the corners."""
    x, y = np.linspace(box[0], box[2], _EDGE_POINTS), np.linspace(box[1], box[3], _EDGE_POINTS)
    across = [np.stack([x, np.full_like(x, side)], axis=-1) for side in (box[1], box[3])]
    along = [np.stack([np.full_like(y, side), y], axis=-1) for side in (box[0], box[2])]
    return np.concatenate([*across, *along])


def _around(pixels: NDArray[np.float32], camera: Camera) -> NDArray[np.float32]:
    """(4,) the box around pixels, NaN passed over, within the image; empty if they are all beyond it."""
    known = pixels[np.isfinite(pixels).all(axis=1)]
    if len(known) == 0:
        return np.zeros(4, np.float32)
    limits = np.array([camera.width, camera.height], dtype=np.float32) - np.float32(0.5)
    corners = np.stack([known.min(axis=0), known.max(axis=0)])
    return corners.clip(np.float32(-0.5), limits).ravel()


def _visible(prompt: KeypointPrompt, pixels: NDArray[np.float32], camera: Camera) -> KeypointPrompt | None:
    """The keypoints at other pixels, without those beyond the image; None if none is left."""
    kept = camera.contains(pixels)
    if not kept.any():
        return None
    names = tuple(name for name, is_kept in zip(prompt.names, kept, strict=True) if is_kept)
    return KeypointPrompt(prompt.instance_id, names, pixels[kept])
