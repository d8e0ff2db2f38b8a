"""Lens distortion on the normalised image plane (z = 1), both ways.

The models and the order of their coefficients are those of sensor_msgs/CameraInfo, which are OpenCV's:

- `plumb_bob`: k1 k2 p1 p2 [k3], Brown's radial polynomial with decentring;
- `rational_polynomial`: k1 k2 p1 p2 k3 k4 k5 k6 [s1 s2 s3 s4 [tauX tauY]], the same with a quotient of polynomials,
  and with a thin prism and a tilted sensor where those are given;
- `equidistant`: k1 k2 k3 k4, Kannala and Brandt's polynomial in the angle from the optical axis. Without any
  coefficient it is still no pinhole: its image grows with the angle, not with the tangent.

A polynomial fitted inside an image says nothing outside it: at some angle it turns back, and far points would
be folded into the picture. Each model is therefore used up to the angle where its image stops growing, in
whichever direction it does so first; everything beyond is NaN, in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: How many coefficients each model may come with.
COEFFICIENT_COUNTS: dict[str, tuple[int, ...]] = {
    "none": (0,),
    "plumb_bob": (4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}
DISTORTION_MODELS = tuple(COEFFICIENT_COUNTS)

_LARGEST_ANGLE = np.deg2rad(89.0)
_PROFILE_SAMPLES = 4096
#: Directions around the axis in which a lens is tried that is not the same in all of them.
_DIRECTIONS = 16
_NEWTON_STEPS = 8
#: Largest residual of an inverted point on the normalised plane: a thousandth of a pixel at f = 1000.
_RESIDUAL = 1e-6
#: A sensor that is tilted farther than this is seen edge-on; Scheimpflug cameras stay below 45 degrees.
_LARGEST_TILT = np.deg2rad(80.0)


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


def holds_to_the_horizon(model: str, coefficients: tuple[float, ...]) -> bool:
    """Whether the image of a lens grows up to a right angle from its axis (89 degrees), as a pinhole's does.

    Pixels without a ray then see what lies behind the lens; otherwise the polynomial has turned back.

    Raises:
        ValueError: as `check_coefficients`, or the image is bent back at its centre already.
    """
    lens = _lens(model, tuple(coefficients))
    return lens is None or len(lens.radii) == _PROFILE_SAMPLES


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
    bent = lens.bend(xy)
    bent[~(_radius(xy) <= lens.largest_radius)] = np.nan
    return bent if lens.tilt is None else _mapped(lens.tilt, bent)


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
    if lens.tilt is not None:
        target = _mapped(np.asarray(np.linalg.inv(lens.tilt), dtype=np.float64), target)
    radius = _radius(target)
    start = np.interp(radius, lens.profile, lens.radii)
    estimate = target * np.divide(start, radius, out=np.ones_like(radius), where=radius > 0)[..., None]
    with np.errstate(all="ignore"):
        for _ in range(_NEWTON_STEPS):
            error = lens.bend(estimate) - target
            if not np.nanmax(np.abs(error), initial=0.0) > _RESIDUAL * 1e-3:
                break
            (a, b), (c, d) = lens.jacobian(estimate)
            step = np.stack(
                [d * error[..., 0] - b * error[..., 1], a * error[..., 1] - c * error[..., 0]], axis=-1
            )
            estimate -= step / (a * d - b * c)[..., None]
        residual = np.abs(lens.bend(estimate) - target).max(axis=-1)
        estimate[~((residual <= _RESIDUAL) & (_radius(estimate) <= lens.largest_radius))] = np.nan
    return estimate


def _radius(xy: Array) -> Array:
    return np.hypot(xy[..., 0], xy[..., 1])


def _mapped(homography: Array, xy: Array) -> Array:
    """(..., 2) points of the plane under a (3, 3) homography; NaN where it turns them to the other side."""
    x, y, w = (row[0] * xy[..., 0] + row[1] * xy[..., 1] + row[2] for row in homography)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(w > 0, 1.0 / w, np.nan)
    return np.stack([x * scale, y * scale], axis=-1)


@dataclass(frozen=True, eq=False)
class _Lens:
    """A model with its coefficients, and its radial profile: distorted `profile` over undistorted `radii`.

    Attributes:
        model: its name.
        coefficients: all that the model may have: (4,) of an equidistant lens, (14,) of a polynomial.
        radii, profile: (N,) on the normalised plane, growing.
        tilt: (3, 3) homography of a tilted sensor, which follows `bend`; None where the sensor is not tilted.
    """

    model: str
    coefficients: Array
    radii: Array
    profile: Array
    tilt: Array | None

    @property
    def largest_radius(self) -> float:
        return float(self.radii[-1])

    @property
    def is_radial(self) -> bool:
        """Whether it is the same in all directions from the axis."""
        return self.model == "equidistant" or not self.coefficients[[2, 3, 8, 9, 10, 11]].any()

    def bend(self, xy: Array) -> Array:
        """Where it images points, the tilt of the sensor left out."""
        x, y = xy[..., 0], xy[..., 1]
        squared = x * x + y * y
        factor, _ = self.radial(squared)
        if self.is_radial:
            return np.stack([x * factor, y * factor], axis=-1)
        p1, p2 = self.coefficients[2:4]
        bent = np.stack(
            [
                x * factor + 2 * p1 * x * y + p2 * (squared + 2 * x * x),
                y * factor + p1 * (squared + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=-1,
        )
        s1, s2, s3, s4 = self.coefficients[8:12]
        if s1 or s2 or s3 or s4:
            bent += np.stack([squared * (s1 + s2 * squared), squared * (s3 + s4 * squared)], axis=-1)
        return bent

    def jacobian(self, xy: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Partial derivatives of `bend`: ((xx, xy), (yx, yy))."""
        x, y = xy[..., 0], xy[..., 1]
        squared = x * x + y * y
        factor, slope = self.radial(squared)
        xx, mixed, yy = factor + 2 * x * x * slope, 2 * x * y * slope, factor + 2 * y * y * slope
        if self.is_radial:
            return (xx, mixed), (mixed, yy)
        p1, p2 = self.coefficients[2:4]
        s1, s2, s3, s4 = self.coefficients[8:12]
        mixed = mixed + 2 * (p1 * x + p2 * y)
        across, down = 2 * (s1 + 2 * s2 * squared), 2 * (s3 + 2 * s4 * squared)
        return (
            (xx + 2 * p1 * y + 6 * p2 * x + across * x, mixed + across * y),
            (mixed + down * x, yy + 6 * p1 * y + 2 * p2 * x + down * y),
        )

    def radial(self, squared: Array) -> tuple[Array, Array]:
        """The factor that a point at this squared radius is moved by, and its derivative by the square."""
        if self.model == "equidistant":
            return _equidistant_factor(squared, self.coefficients)
        k1, k2, _, _, k3, k4, k5, k6 = self.coefficients[:8]
        above = 1 + squared * (k1 + squared * (k2 + squared * k3))
        above_slope = k1 + squared * (2 * k2 + squared * 3 * k3)
        if not (k4 or k5 or k6):
            return above, above_slope
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


def _tilt(tau_x: float, tau_y: float) -> Array | None:
    """The homography onto a sensor that is tilted about x, then y, radians; None if it is not.

    Raises:
        ValueError: the sensor would be seen edge-on or from behind.
    """
    if not (tau_x or tau_y):
        return None
    if max(abs(tau_x), abs(tau_y)) > _LARGEST_TILT:
        raise ValueError(f"the sensor is tilted by tauX, tauY = {tau_x}, {tau_y} radians: recalibrate")
    (sx, cx), (sy, cy) = (np.sin(tau_x), np.cos(tau_x)), (np.sin(tau_y), np.cos(tau_y))
    rotation = np.array([[cy, sy * sx, -sy * cx], [0.0, cx, sx], [sy, -cy * sx, cy * cx]])
    # Along the axis onto the turned plane, so that the principal point stays where it is.
    onto = np.array(
        [[rotation[2, 2], 0.0, -rotation[0, 2]], [0.0, rotation[2, 2], -rotation[1, 2]], [0.0, 0.0, 1.0]]
    )
    return onto @ rotation


@lru_cache(maxsize=32)
def _lens(model: str, coefficients: tuple[float, ...]) -> _Lens | None:
    """The lens with its profile up to where it stops growing; None for a pinhole."""
    check_coefficients(model, coefficients)
    if not any(coefficients) and model != "equidistant":
        return None
    full = np.zeros(4 if model == "equidistant" else 14)
    count = min(COEFFICIENT_COUNTS[model][-1], len(coefficients))
    full[:count] = coefficients[:count]
    tilt = None if model == "equidistant" else _tilt(*full[12:])
    radii = np.tan(np.linspace(0.0, _LARGEST_ANGLE, _PROFILE_SAMPLES))
    lens = _Lens(model, full, radii, radii, tilt)
    with np.errstate(all="ignore"):
        factor, slope = lens.radial(radii * radii)
        growing = (factor > 0) & (factor + 2 * radii * radii * slope > 0)
        if not lens.is_radial:
            growing &= _is_unfolded(lens)
        profile = radii * factor
    end = len(radii) if growing.all() else int(np.argmin(growing))
    if end < 2:
        raise ValueError(
            f"{model} coefficients {coefficients} bend the image back at its centre: recalibrate"
        )
    return replace(lens, radii=radii[:end], profile=profile[:end])


def _is_unfolded(lens: _Lens) -> NDArray[np.bool_]:
    """(N,) radii at which the image is the right way round in every direction."""
    angles = np.linspace(0.0, 2 * np.pi, _DIRECTIONS, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    (a, b), (c, d) = lens.jacobian(lens.radii[:, None, None] * circle)
    return np.asarray((a * d - b * c > 0).all(axis=1))
