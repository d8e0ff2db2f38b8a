"""Whose the known keypoints of a frame are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.prompts import KeypointPrompt

#: Keypoints of which a smaller share lies in somebody's mask or box are not this person's. Those of limbs that
#: something hides lie outside of the mask.
_LEAST_SHARE = 0.3


def matched_prompts(frame: Frame, people: Sequence[int]) -> tuple[KeypointPrompt, ...]:
    """The prompts of a frame that belong to somebody.

    A prompt that names its instance belongs to it. The others go to the people who are left, each to the mask or box
    that holds most of its keypoints and, where several hold them, reaches as far as they do; at the best total.

    Args:
        frame: with labels or boxes, and prompts.
        people: instances of people in it.

    Returns:
        At most one for each person, with the instance filled in, in the order of the instances.
    """
    found: dict[int, KeypointPrompt] = {}
    for prompt in frame.prompts:
        if prompt.instance_id in people:
            found.setdefault(prompt.instance_id, prompt)
    open_prompts = [prompt for prompt in frame.prompts if prompt.instance_id == 0]
    others = [instance for instance in people if instance not in found]
    if open_prompts and others:
        boxes = _boxes(frame, others)
        fits = np.stack([_fits(frame, prompt.pixels, others, boxes) for prompt in open_prompts])
        rows, columns = linear_sum_assignment(fits, maximize=True)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if fits[row, column] > 0:
                found[others[column]] = replace(open_prompts[row], instance_id=others[column])
    return tuple(found[instance] for instance in sorted(found))


def _boxes(frame: Frame, people: Sequence[int]) -> NDArray[np.float64]:
    """(I, 4) x1, y1, x2, y2 around each person, from edge to edge of the pixels."""
    if frame.boxes:
        return np.array([frame.boxes[instance] for instance in people], dtype=np.float64)
    windows = ndimage.find_objects(frame.labels)
    edges = [(c.start, r.start, c.stop, r.stop) for r, c in (windows[instance - 1] for instance in people)]
    return np.array(edges, dtype=np.float64) - 0.5


def _fits(
    frame: Frame, pixels: NDArray[np.float32], people: Sequence[int], boxes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(I,) how well keypoints fit each person, 0 (not at all) to 2."""
    if frame.boxes:
        inside = (pixels[:, None] >= boxes[:, :2]) & (pixels[:, None] <= boxes[:, 2:])
        shares = inside.all(axis=2).mean(axis=0)
    else:
        columns, rows = np.rint(pixels[frame.camera.contains(pixels)]).astype(int).T
        shares = (frame.labels[rows, columns][:, None] == np.array(people)).sum(axis=0) / len(pixels)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    common = np.minimum(boxes[:, 2:], high) - np.maximum(boxes[:, :2], low)
    overlap = common.clip(min=0).prod(axis=1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + float((high - low).prod()) - overlap
    return np.where(shares >= _LEAST_SHARE, shares * (1.0 + overlap / union), 0.0)
