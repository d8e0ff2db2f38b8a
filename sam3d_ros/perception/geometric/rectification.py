"""Frames without lens distortion: carving projects a hundred thousand points and wants a plain pinhole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.perception.frame import Frame


def rectified(frame: Frame) -> Frame:
    """The frame as a camera with the same K and no distortion sees it; the frame itself where there is none.

    Pixels are taken from their nearest neighbours, so that labels stay labels and points stay measured points.
    """
    camera = frame.camera
    if camera.distortion_model == "none" or not any(camera.distortion):
        return frame
    pinhole = replace(camera, distortion_model="none", distortion=())
    pixels = camera.project(pinhole.rays())
    inside = camera.contains(pixels)
    u, v = np.where(inside[..., None], pixels, -10.0).astype(np.float32).transpose(2, 0, 1)

    def moved(image: NDArray[Any], beyond: float) -> NDArray[Any]:
        fill = (beyond,) * 4
        return cv2.remap(image, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=fill)

    return replace(
        frame,
        rgb=moved(frame.rgb, 0),
        labels=moved(frame.labels, 0),
        points=moved(frame.points, np.nan),
        camera=pinhole,
    )
