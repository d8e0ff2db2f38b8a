"""Skeletons drawn over the image that people were found in."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.perception.people.estimates import BodyEstimate
from sam3d_ros.perception.scenes.overlay import object_color

#: Height of an image for which lines are one unit thick.
_REFERENCE_HEIGHT = 480
_RIM = (16, 16, 16)


def draw_skeletons(
    rgb: NDArray[np.uint8], camera: Camera, bodies: Sequence[tuple[int, BodyEstimate]]
) -> NDArray[np.uint8]:
    """Draw the linked keypoints of people, the farthest person first.

    Args:
        rgb: (H, W, 3) uint8.
        camera: its intrinsics; the drawing follows the lens distortion.
        bodies: pairs of the id that gives the colour, and the estimate.

    Returns:
        (H, W, 3) uint8, a copy.
    """
    picture = rgb.copy()
    unit = max(1.0, rgb.shape[0] / _REFERENCE_HEIGHT)
    for body_id, body in sorted(bodies, key=lambda pair: -pair[1].camera_from_body.translation[2]):
        pixels = camera.project(body.keypoints.astype(np.float64))
        links = [link for link in body.skeleton.links if np.isfinite(pixels[list(link)]).all()]
        # A dark rim below the bright line keeps it visible on any background.
        for color, width in ((_RIM, 3.5), (object_color(body_id), 1.8)):
            for start, end in links:
                ends = [tuple(map(int, np.clip(pixels[i], -1e4, 1e4).round())) for i in (start, end)]
                cv2.line(picture, ends[0], ends[1], color, max(1, round(width * unit)), cv2.LINE_AA)
    return picture
