"""From images, masks and points to the objects that the networks look at."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam3d_ros.geometry.frames import optical_from_pytorch3d
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.splats import Splats
from sam3d_ros.models.layers.attention import Context
from sam3d_ros.models.objects.geometry_model import Latents
from sam3d_ros.models.objects.point_maps import SceneScale
from sam3d_ros.models.objects.views import Box, box_around, point_views

# The generator of further poses is seeded with one more.
_SEED_BITS = 62


@dataclass(eq=False)
class Subject:
    """An object on its way through the stages.

    Attributes:
        mask: (1, H, W) float32, 0 to 1.
        box: what its crop shows.
        generator: draws the noise of its shape, of its first pose and of its voxels.
        more_poses: draws the noise of further poses.
        scene: how its points were normalised.
        point_views: inputs of the geometry model.
        metric: whether points were measured on it.
        condition: of the stage that runs.
        latents: of stage 1, (tokens, channels) each.
        coords: (N, 3) int64 voxels.
        downsampling: factor by which they were thinned.
        refined: (N, channels) latents of the voxels.
        mesh: canonical frame.
        splats: name of an output -> splats.
        seconds: stage -> what this object took of it.
    """

    mask: Tensor
    box: Box
    generator: torch.Generator
    more_poses: torch.Generator
    scene: SceneScale = field(default_factory=SceneScale.unit)
    point_views: dict[str, Tensor] = field(default_factory=dict)
    metric: bool = False
    condition: Context | None = None
    latents: Latents = field(default_factory=dict)
    coords: Tensor | None = None
    downsampling: int = 1
    refined: Tensor | None = None
    mesh: Mesh | None = None
    splats: dict[str, Splats] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def known_condition(self) -> Context:
        """The condition, where it was encoded before."""
        if self.condition is None:
            raise RuntimeError("the condition of an object is asked for before it was encoded")
        return self.condition


def checked_boxes(
    image: NDArray[np.uint8],
    masks: NDArray[np.bool_] | NDArray[np.floating],
    points: NDArray[np.floating] | None,
) -> list[Box]:
    """What the crop of each mask shows, where all inputs are as they should be.

    Raises:
        ValueError: an input has a wrong shape or type, or a mask is empty or too small.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image is {image.dtype} {image.shape}: give (H, W, 3) uint8 RGB")
    size = image.shape[:2]
    if masks.ndim != 3 or masks.shape[1:] != size or masks.dtype.kind not in "bf":
        raise ValueError(
            f"masks are {masks.dtype} {masks.shape}: give (N, {size[0]}, {size[1]}) bool or float"
        )
    if points is not None and points.shape != image.shape:
        raise ValueError(f"points are {points.shape} but image is {image.shape}: publish both at one size")
    boxes = []
    for number, mask in enumerate(masks):
        try:
            boxes.append(box_around(torch.from_numpy(mask)[None]))
        except ValueError as error:
            raise ValueError(f"mask {number} of {len(masks)}: {error}") from error
    return boxes


def image_on(device: torch.device, image: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) RGB -> (3, H, W) float32, 0 to 1."""
    return torch.from_numpy(image / 255.0).float().permute(2, 0, 1).to(device)


def subjects_of(
    masks: NDArray[np.bool_] | NDArray[np.floating],
    points: NDArray[np.floating] | None,
    boxes: Sequence[Box],
    *,
    size: int,
    seed: int | None,
    device: torch.device,
) -> list[Subject]:
    """The objects before the first stage.

    Args:
        masks: (N, H, W) bool, or floats from 0 to 1.
        points: (H, W, 3) metres, optical frame, NaN where unknown.
        boxes: what the crop of each mask shows.
        size: side of the views of points, pixels.
        seed: of all objects; None draws one for each.
        device: where the networks run.
    """
    soft = torch.from_numpy(masks.astype(np.float32))[:, None].to(device)
    scene = None
    if points is not None:
        known = np.where(np.isfinite(points).all(axis=-1, keepdims=True), points, np.nan)
        scene = torch.from_numpy(optical_from_pytorch3d(known)).float().permute(2, 0, 1).to(device)
    subjects = []
    for mask, box in zip(soft, boxes, strict=True):
        # Not from PyTorch's own generators, which are the caller's.
        own_seed = secrets.randbits(_SEED_BITS) if seed is None else seed
        first, more = (torch.Generator(device).manual_seed(own_seed + offset) for offset in (0, 1))
        subject = Subject(mask, box, first, more)
        if scene is not None:
            subject.metric = bool((scene.isfinite().all(dim=0) & (mask[0] > 0.5)).any())
            subject.point_views, subject.scene = point_views(scene, mask, size, box)
        subjects.append(subject)
    return subjects
