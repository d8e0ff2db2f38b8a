"""Lens distortion on the normalised image plane (z = 1), both ways.

The models and the order of their coefficients are those of sensor_msgs/CameraInfo, which are OpenCV's:

- `plumb_bob`: k1 k2 p1 p2 [k3], Brown's radial polynomial with decentring;
- `rational_polynomial`: k1 k2 p1 p2 k3 k4 k5 k6, the same with a quotient of polynomials;
- `equidistant`: k1 k2 k3 k4, Kannala and Brandt's polynomial in the angle from the optical axis.

A polynomial fitted inside an image says nothing outside it: at some angle it turns back, and far points would
be folded into the picture. Each model is therefore used up to the angle where its radial profile stops
growing; everything beyond is NaN, in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: How many coefficients each model may come with.
COEFFICIENT_COUNTS: dict[str, tuple[int, ...]] = {
    "none": (0,),
    "plumb_bob": (4, 5),
    "rational_polynomial": (8,),
    "equidistant": (4,),
}
DISTORTION_MODELS = tuple(COEFFICIENT_COUNTS)

_LARGEST_ANGLE = np.deg2rad(89.0)
_PROFILE_SAMPLES = 4096
_NEWTON_STEPS = 8
#: Largest residual of an inverted point on the normalised plane: a thousandth of a pixel at f = 1000.
_RESIDUAL = 1e-6


def check_coefficients(model: str, coefficients: tuple[float, ...]) -> None:
    """Refuse an unknown model, or a number of coefficients that does not fit it.

    Zeros behind the coefficients of a model change nothing and are allowed.

    Raises:
        ValueError: with the expected, the given and the remedy.
    """
    if model not in COEFFICIENT_COUNTS:
        raise ValueError(f"distortion model {model!r} is unknown: use one of {', '.join(DISTORTION_MODELS)}")
    counts = COEFFICIENT_COUNTS[model]
    if len(coefficients) in counts or (
        len(coefficients) > counts[-1] and not any(coefficients[counts[-1] :])
    ):
        return
    raise ValueError(
        f"distortion model {model!r} has {' or '.join(map(str, counts))} coefficients, got "
        f"{len(coefficients)} {coefficients}: give those of this model, or model 'none' without any"
    )


def distort(xy: ArrayLike, model: str, coefficients: tuple[float, ...]) -> NDArray[np.floating]:
    """Where a lens images points of the normalised plane.

    Args:
        xy: (..., 2) x / z and y / z in the optical frame.
        model: one of `DISTORTION_MODELS`.
        coefficients: in the order of the module's docstring.

    Returns:
        (..., 2) distorted normalised coordinates, float64 unless there is no distortion; NaN beyond the angle
        up to which the model holds.
    """
    lens = _lens(model, tuple(coefficients))
    if lens is None:
        return np.asarray(xy)
    xy = np.asarray(xy, dtype=np.float64)
    distorted = lens.distort(xy)
    distorted[~(_radius(xy) <= lens.largest_radius)] = np.nan
    return distorted


def undistort(xy: ArrayLike, model: str, coefficients: tuple[float, ...]) -> Array:
    """The inverse of `distort`, by Newton's method from the inverse of the radial profile.

    Args:
        xy: (..., 2) distorted normalised coordinates.
        model: one of `DISTORTION_MODELS`.
        coefficients: in the order of the module's docstring.

    Returns:
        (..., 2) float64 coordinates on the plane z = 1, NaN where nothing inside the model's angle is imaged.
    """
    lens = _lens(model, tuple(coefficients))
    target = np.asarray(xy, dtype=np.float64)
    if lens is None:
        return target
    radius = _radius(target)
    start = np.interp(radius, lens.profile, lens.radii)
    estimate = target * np.divide(start, radius, out=np.ones_like(radius), where=radius > 0)[..., None]
    with np.errstate(all="ignore"):
        for _ in range(_NEWTON_STEPS):
            error = lens.distort(estimate) - target
            if not np.nanmax(np.abs(error), initial=0.0) > _RESIDUAL * 1e-3:
                break
            (a, b), (c, d) = lens.jacobian(estimate)
            step = np.stack(
                [d * error[..., 0] - b * error[..., 1], a * error[..., 1] - c * error[..., 0]], axis=-1
            )
            estimate -= step / (a * d - b * c)[..., None]
        residual = np.abs(lens.distort(estimate) - target).max(axis=-1)
        estimate[~((residual <= _RESIDUAL) & (_radius(estimate) <= lens.largest_radius))] = np.nan
    return estimate


def _radius(xy: Array) -> Array:
    return np.hypot(xy[..., 0], xy[..., 1])


@dataclass(frozen=True, eq=False)
class _Lens:
    """A model with its coefficients, and its radial profile: distorted `profile` over undistorted `radii`."""

    model: str
    coefficients: Array
    radii: Array
    profile: Array

    @property
    def largest_radius(self) -> float:
        return float(self.radii[-1])

    def distort(self, xy: Array) -> Array:
        x, y = xy[..., 0], xy[..., 1]
        squared = x * x + y * y
        factor, _ = self.radial(squared)
        if self.model == "equidistant":
            return np.stack([x * factor, y * factor], axis=-1)
        _, _, p1, p2 = self.coefficients[:4]
        return np.stack(
            [
                x * factor + 2 * p1 * x * y + p2 * (squared + 2 * x * x),
                y * factor + p1 * (squared + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=-1,
        )

    def jacobian(self, xy: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Partial derivatives of `distort`: ((xx, xy), (yx, yy))."""
        x, y = xy[..., 0], xy[..., 1]
        factor, slope = self.radial(x * x + y * y)
        xx, mixed, yy = factor + 2 * x * x * slope, 2 * x * y * slope, factor + 2 * y * y * slope
        if self.model == "equidistant":
            return (xx, mixed), (mixed, yy)
        _, _, p1, p2 = self.coefficients[:4]
        mixed = mixed + 2 * (p1 * x + p2 * y)
        return (xx + 2 * p1 * y + 6 * p2 * x, mixed), (mixed, yy + 6 * p1 * y + 2 * p2 * x)

    def radial(self, squared: Array) -> tuple[Array, Array]:
        """The factor that a point at this squared radius is moved by, and its derivative by the square."""
        if self.model == "equidistant":
            return _equidistant_factor(squared, self.coefficients)
        k1, k2, _, _, k3, *denominator = self.coefficients
        above = 1 + squared * (k1 + squared * (k2 + squared * k3))
        above_slope = k1 + squared * (2 * k2 + squared * 3 * k3)
        if not denominator:
            return above, above_slope
        k4, k5, k6 = denominator
        below = 1 + squared * (k4 + squared * (k5 + squared * k6))
        below_slope = k4 + squared * (2 * k5 + squared * 3 * k6)
        return above / below, (above_slope - above / below * below_slope) / below


def _equidistant_factor(squared: Array, coefficients: Array) -> tuple[Array, Array]:
    k1, k2, k3, k4 = coefficients
    # The quotients below have the limit 1 and a finite slope on the axis; this keeps them clear of 0 / 0.
    squared = np.maximum(squared, 1e-12)
    radius = np.sqrt(squared)
    angle = np.arctan(radius)
    a2 = angle * angle
    bent = angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    bent_slope = 1 + a2 * (3 * k1 + a2 * (5 * k2 + a2 * (7 * k3 + a2 * 9 * k4)))
    return bent / radius, (bent_slope / (1 + squared) - bent / radius) / (2 * squared)


@lru_cache(maxsize=32)
def _lens(model: str, coefficients: tuple[float, ...]) -> _Lens | None:
    """The lens with its profile up to where it stops growing; None for a pinhole."""
    check_coefficients(model, coefficients)
    if not any(coefficients) and model != "equidistant":
        return None
    full = np.zeros({"plumb_bob": 5, "rational_polynomial": 8, "equidistant": 4}[model])
    count = min(len(full), len(coefficients))
    full[:count] = coefficients[:count]
    radii = np.tan(np.linspace(0.0, _LARGEST_ANGLE, _PROFILE_SAMPLES))
    unbounded = _Lens(model, full, radii, radii)
    factor, slope = unbounded.radial(radii * radii)
    growing = (factor > 0) & (factor + 2 * radii * radii * slope > 0)
    end = len(radii) if growing.all() else int(np.argmin(growing))
    if end < 2:
        raise ValueError(
            f"{model} coefficients {coefficients} bend the image back at its centre: recalibrate"
        )
    return _Lens(model, full, radii[:end], (radii * factor)[:end])
