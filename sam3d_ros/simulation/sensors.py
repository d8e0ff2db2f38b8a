"""Models of depth cameras and LiDARs: what real sensors make of the exact truth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.simulation.rendering import Rendering
from sam3d_ros.simulation.scenes import Scene

Depth = NDArray[np.float32]


@dataclass(frozen=True)
class DepthSensor:
    """A structured-light or stereo depth camera whose images are registered to colour.

    Depth is measured as disparity `focal * baseline / z`. Noise and quantisation of the disparity give errors
    that grow with the square of the distance; what only one of the two eyes sees has no depth.

    Attributes:
        baseline: between the eyes, metres; the second one is on the right.
        disparity_noise: standard deviation, pixels.
        disparity_step: quantisation, pixels.
        correlation: size of the patches that share noise, pixels.
        edge_loss: share of pixels at depth edges that are lost.
        flying: share of pixels at depth edges that mix foreground and background.
        grazing: cosine of the angle between ray and normal below which depth gets lost; none is left at zero.
        speckle: share of pixels lost anywhere.
        nearest, farthest: range, metres.
        unit: quantum of the published depth, metres.
    """

    baseline: float = 0.05
    disparity_noise: float = 0.05
    disparity_step: float = 1 / 16
    correlation: float = 1.0
    edge_loss: float = 0.35
    flying: float = 0.2
    grazing: float = 0.2
    speckle: float = 0.002
    nearest: float = 0.25
    farthest: float = 6.0
    unit: float = 0.001

    def measure(self, rendering: Rendering, rng: np.random.Generator) -> Depth:
        """(H, W) float32 metres along the optical axis, 0 = unknown, whole multiples of `unit`."""
        depth = rendering.depth.copy()
        shape = depth.shape
        edges = _edges(depth)
        # At an edge the sensor's window sees both surfaces: some pixels come out in between, some not at all.
        mixing = edges & (rng.random(shape, dtype=np.float32) < self.flying)
        share = rng.random(int(mixing.sum()), dtype=np.float32)
        near, far = _range_around(depth)
        depth[mixing] = near[mixing] * (1 - share) + far[mixing] * share
        lost = edges & ~mixing & (rng.random(shape, dtype=np.float32) < self.edge_loss)
        lost |= self._hidden_from_second_eye(rendering)
        lost |= _facing(rendering) < self.grazing * rng.random(shape, dtype=np.float32)
        lost |= rng.random(shape, dtype=np.float32) < self.speckle
        gain = np.float32(rendering.camera.fx * self.baseline)
        with np.errstate(divide="ignore", invalid="ignore"):
            disparity = gain / depth + self._noise(shape, rng)
            if self.disparity_step:
                disparity = np.rint(disparity / self.disparity_step) * np.float32(self.disparity_step)
            measured = gain / disparity
        lost |= ~((measured >= self.nearest) & (measured <= self.farthest))
        measured[lost] = 0.0
        return np.asarray(np.rint(measured / self.unit) * self.unit, dtype=np.float32)

    def _noise(self, shape: tuple[int, ...], rng: np.random.Generator) -> Depth:
        white = rng.standard_normal(shape, dtype=np.float32)
        if self.correlation > 0:
            white = cv2.GaussianBlur(white, (0, 0), self.correlation)
            # Blurring by a Gaussian of deviation s divides the deviation of white noise by 2 sqrt(pi) s.
            white *= 2 * np.sqrt(np.pi) * max(self.correlation, 0.3)
        return white * np.float32(self.disparity_noise)

    def _hidden_from_second_eye(self, rendering: Rendering) -> NDArray[np.bool_]:
        """Pixels that something nearer hides from the second eye: a band on the left of each foreground."""
        depth = rendering.depth
        gain = rendering.camera.fx * self.baseline
        with np.errstate(divide="ignore"):
            column = np.arange(depth.shape[1], dtype=np.float32) - np.where(
                depth > 0, gain / depth, np.float32(0.0)
            )
        # A point hides those on its left in the image that the second eye sees on its right.
        leftmost = np.minimum.accumulate(column[:, ::-1], axis=1)[:, ::-1]
        return column > leftmost + 0.5


#: A depth sensor without errors, for tests and for telling errors of a method from those of its input.
PERFECT_DEPTH = DepthSensor(
    baseline=1e-6,
    disparity_noise=0.0,
    disparity_step=0.0,
    edge_loss=0.0,
    flying=0.0,
    grazing=0.0,
    speckle=0.0,
    nearest=0.0,
    farthest=np.inf,
    unit=1e-6,
)


@dataclass(frozen=True)
class Lidar:
    """A spinning scanner. Its frame: x forward, y left, z up; metres.

    Attributes:
        beams: scan lines.
        lowest, highest: elevation of the outermost beams, radians.
        step: between shots of a beam, radians.
        field: horizontal field of view around forward, radians.
        noise: standard deviation of the range, metres.
        dropout: share of lost returns.
        nearest, farthest: range, metres.
    """

    beams: int = 32
    lowest: float = float(np.deg2rad(-55))
    highest: float = float(np.deg2rad(5))
    step: float = float(np.deg2rad(0.2))
    field: float = float(2 * np.pi)
    noise: float = 0.006
    dropout: float = 0.01
    nearest: float = 0.1
    farthest: float = 60.0

    def directions(self) -> NDArray[np.float32]:
        """(beams, shots, 3) unit directions in the scanner's frame."""
        azimuth = np.arange(-self.field / 2, self.field / 2, self.step)
        elevation = np.linspace(self.lowest, self.highest, self.beams)[:, None]
        level = np.cos(elevation)
        x, y = level * np.cos(azimuth), level * np.sin(azimuth)
        return np.stack([x, y, np.broadcast_to(np.sin(elevation), x.shape)], axis=-1).astype(np.float32)

    def scan(
        self, scene: Scene, world_from_lidar: Similarity, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """One sweep of a scene: (N, 4) float32 x y z in the scanner's frame and intensity, 0 to 1."""
        directions = self.directions().reshape(-1, 3)
        turned = world_from_lidar.rotate(directions).astype(np.float32)
        hits = scene.rays.cast(turned, world_from_lidar.translation)
        distance = hits.distance + rng.normal(0.0, self.noise, len(directions)).astype(np.float32)
        kept = hits.hit & (distance >= self.nearest) & (distance <= self.farthest)
        kept &= rng.random(len(directions)) >= self.dropout
        intensity = np.abs((hits.normal * turned).sum(axis=1))
        return np.column_stack([directions * distance[:, None], intensity])[kept].astype(np.float32)


def _edges(depth: Depth) -> NDArray[np.bool_]:
    """Pixels within one of a jump of the depth that is no slant: more than 2 % of the distance."""
    near, far = _range_around(depth)
    return (depth > 0) & (far - near > np.float32(0.02) * near)


def _range_around(depth: Depth) -> tuple[Depth, Depth]:
    """Least and greatest known depth in the 3 x 3 neighbourhood."""
    kernel = np.ones((3, 3), np.uint8)
    near = cv2.erode(np.where(depth > 0, depth, np.float32(1e6)), kernel)
    return near, cv2.dilate(depth, kernel)


def _facing(rendering: Rendering) -> Depth:
    """(H, W) cosine of the angle between the ray back to the camera and the normal, 0 to 1."""
    rays = rendering.camera.rays()
    along = -np.einsum("ijk,ijk->ij", rendering.normals, rays)
    return np.asarray(along / np.sqrt(np.einsum("ijk,ijk->ij", rays, rays)))
