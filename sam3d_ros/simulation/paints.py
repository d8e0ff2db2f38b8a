"""Procedural colours of surfaces, as functions of the place on the body in metres."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Color = tuple[float, float, float]

_NOISE_CELLS = 64


class Paint(Protocol):
    """Colours of a body."""

    def __call__(self, points: Array) -> Array:
        """(N, 3) sRGB colours, 0 to 1, at (N, 3) float32 points in metres in the frame of the body."""
        ...


@dataclass(frozen=True)
class Plain:
    """One colour with a faint mottle, so that no surface is quite even.

    Attributes:
        color: sRGB, 0 to 1.
        mottle: strength of the mottle, share of the colour.
    """

    color: Color
    mottle: float = 0.025

    def __call__(self, points: Array) -> Array:
        shade = 1.0 + self.mottle * (noise(points, 0.002) + noise(points, 0.007))
        return np.asarray(self.color, np.float32) * shade[:, None]


@dataclass(frozen=True)
class Banded:
    """A label or stripes across an axis: the paint `band` between heights, `ground` elsewhere.

    Attributes:
        ground, band: the two paints.
        heights: pairs of lower and upper end, metres along `axis`.
        axis: 0, 1 or 2.
    """

    ground: Paint
    band: Paint
    heights: tuple[tuple[float, float], ...]
    axis: int = 2

    def __call__(self, points: Array) -> Array:
        along = points[:, self.axis]
        inside = np.zeros(len(points), dtype=bool)
        for low, high in self.heights:
            inside |= (along > low) & (along < high)
        colors = np.empty_like(points)
        colors[~inside], colors[inside] = self.ground(points[~inside]), self.band(points[inside])
        return colors


@dataclass(frozen=True)
class Printed:
    """Packaging of a carton: a frame, a panel of a second colour and rows of dark print on every side.

    Attributes:
        ground, panel, ink: sRGB, 0 to 1.
        half: half lengths of the carton, which is centred at (0, 0, half[2]), metres.
    """

    ground: Color
    panel: Color
    ink: Color
    half: tuple[float, float, float]

    def __call__(self, points: Array) -> Array:
        half = np.asarray(self.half, np.float32)
        local = (points - (0.0, 0.0, self.half[2])) / half
        side = np.abs(local).argmax(axis=1)
        first, second = np.where(side == 0, 1, 0), np.where(side == 2, 1, 2)
        row = np.arange(len(points))
        u, v = local[row, first], local[row, second]
        colors = np.tile(np.asarray(self.ground, np.float32), (len(points), 1))
        colors[(np.abs(u) < 0.8) & (np.abs(v) < 0.75)] = self.panel
        # Lines of text: words of random length on rows 7 mm apart, in the lower part of the panel.
        height, along = v * half[second], u * half[first]
        words = noise(np.stack([along * 0.5, np.floor(height / 0.007) * 0.05, 0.03 * side], axis=1), 0.002)
        text = (np.mod(height, 0.007) < 0.003) & (words > -0.2) & (np.abs(u) < 0.6) & (v < 0.15) & (v > -0.6)
        colors[text] = self.ink
        colors[
            (np.hypot(along, height - 0.4 * half[second]) < 0.22 * np.minimum(half[first], half[second]))
        ] = self.ink
        return colors * (1.0 + 0.04 * noise(points, 0.003))[:, None]


@dataclass(frozen=True)
class Wood:
    """Planks along x with grain.

    Attributes:
        color: sRGB of the middle tone, 0 to 1.
        plank: width of a plank, metres.
    """

    color: Color
    plank: float = 0.14

    def __call__(self, points: Array) -> Array:
        x, y, z = points.T
        board = np.floor(y / self.plank)
        stretched = np.stack([x * 0.06 + 0.37 * board, y + 0.013 * board, z], axis=1).astype(np.float32)
        grain = 0.6 * noise(stretched, 0.0012) + 0.8 * noise(stretched, 0.004)
        tone = 1.0 + 0.09 * grain + 0.05 * np.sin(2.4 * board)
        seam = np.abs(np.mod(y, self.plank)) < 0.0015
        return np.asarray(self.color, np.float32) * np.where(seam, 0.55, tone).astype(np.float32)[:, None]


@dataclass(frozen=True)
class Checked:
    """A cloth or tiles: squares of two colours.

    Attributes:
        first, second: sRGB, 0 to 1.
        cell: edge of a square, metres.
    """

    first: Color
    second: Color
    cell: float

    def __call__(self, points: Array) -> Array:
        square = np.floor(points[:, :2] / self.cell).sum(axis=1)
        colors = np.where(np.mod(square, 2)[:, None] < 1, self.first, self.second).astype(np.float32)
        return colors * (1.0 + 0.05 * noise(points, 0.0015))[:, None]


@dataclass(frozen=True, eq=False)
class Textured:
    """A paint kept as a picture, for large flat bodies: looking it up is ten times quicker.

    Attributes:
        image: (H, W, 3) float32 sRGB, 0 to 1.
        axes: the axes of the body that columns and rows run along.
        origin: place of the first pixel along these axes, metres.
        pixel: edge of a pixel, metres.
    """

    image: Array
    axes: tuple[int, int]
    origin: tuple[float, float]
    pixel: float

    def __call__(self, points: Array) -> Array:
        scale = np.float32(1.0 / self.pixel)
        columns = (points[:, self.axes[0]] - np.float32(self.origin[0])) * scale
        rows = (points[:, self.axes[1]] - np.float32(self.origin[1])) * scale
        # remap wants maps of two dimensions, each of less than 32768 entries.
        width = 4096
        padding = -len(points) % width
        maps = [np.pad(m, (0, padding)).reshape(-1, width) for m in (columns, rows)]
        colors = cv2.remap(self.image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(colors.reshape(-1, 3)[: len(points)])


def textured(paint: Paint, low: NDArray[np.floating], high: NDArray[np.floating], pixel: float) -> Textured:
    """The picture of a paint on the largest side of a box with these corners, metres."""
    extent = np.asarray(high) - np.asarray(low)
    thin = int(extent.argmin())
    first, second = (axis for axis in range(3) if axis != thin)
    columns, rows = np.arange(low[first], high[first], pixel), np.arange(low[second], high[second], pixel)
    points = np.full((len(rows), len(columns), 3), high[thin], np.float32)
    points[..., first], points[..., second] = columns, rows[:, None]
    image = paint(points.reshape(-1, 3)).reshape(points.shape)
    return Textured(image, (first, second), (float(low[first]), float(low[second])), pixel)


def noise(points: Array, cell: float) -> Array:
    """(N,) smooth noise of unit variance at (N, 3) points; `cell` metres is the size of its finest feature."""
    x, y, z = (np.floor(points * np.float32(1.0 / cell)).astype(np.int32) & (_NOISE_CELLS - 1)).T
    return np.asarray(_noise_volume()[x, y, z])


@lru_cache(maxsize=1)
def _noise_volume() -> Array:
    """A periodic block of blurred white noise; the same in every process."""
    block = np.random.default_rng(7).normal(size=(_NOISE_CELLS,) * 3)
    for axis in range(3):
        block = (np.roll(block, 1, axis) + 2 * block + np.roll(block, -1, axis)) / 4
    return ((block - block.mean()) / block.std()).astype(np.float32)


def srgb_from_hsv(hue: float, saturation: float, value: float) -> Color:
    """sRGB, 0 to 1, of a hue in degrees and saturation and value, 0 to 1."""
    pixel = np.array([[[hue % 360.0, saturation, value]]], dtype=np.float32)
    red, green, blue = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]
    return float(red), float(green), float(blue)
