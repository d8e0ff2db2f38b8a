"""Rigid transforms as plain tuples of floats.

Look-ups compose a few dozen of them; at that size Python floats are several times faster than arrays.
A `Rigid` is (tx, ty, tz, qx, qy, qz, qw) with a unit quaternion, named parent_from_child.
"""

from __future__ import annotations

import math

Rigid = tuple[float, float, float, float, float, float, float]

IDENTITY: Rigid = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)

# Below this angle (as 1 - cos) slerp divides two vanishing sines; a normalised lerp is as exact there.
_NEARLY_PARALLEL = 1e-9


def compose(a: Rigid, b: Rigid) -> Rigid:
    """Return a @ b: first b, then a."""
    ax, ay, az, ai, aj, ak, aw = a
    bx, by, bz, bi, bj, bk, bw = b
    # Rotate b's translation by a's quaternion: v + 2 q x (q x v + w v).
    cx = aj * bz - ak * by + aw * bx
    cy = ak * bx - ai * bz + aw * by
    cz = ai * by - aj * bx + aw * bz
    return (
        ax + bx + 2.0 * (aj * cz - ak * cy),
        ay + by + 2.0 * (ak * cx - ai * cz),
        az + bz + 2.0 * (ai * cy - aj * cx),
        aw * bi + ai * bw + aj * bk - ak * bj,
        aw * bj - ai * bk + aj * bw + ak * bi,
        aw * bk + ai * bj - aj * bi + ak * bw,
        aw * bw - ai * bi - aj * bj - ak * bk,
    )


def invert(a: Rigid) -> Rigid:
    """Return the inverse of a."""
    tx, ty, tz, i, j, k, w = a
    x, y, z = compose((0.0, 0.0, 0.0, -i, -j, -k, w), (tx, ty, tz, 0.0, 0.0, 0.0, 1.0))[:3]
    return (-x, -y, -z, -i, -j, -k, w)


def interpolate(a: Rigid, b: Rigid, ratio: float) -> Rigid:
    """Lerp the translation and slerp the rotation along the shorter arc; ratio 0 is a, 1 is b."""
    ax, ay, az, ai, aj, ak, aw = a
    bx, by, bz, bi, bj, bk, bw = b
    cosine = ai * bi + aj * bj + ak * bk + aw * bw
    sign = 1.0
    if cosine < 0.0:  # q and -q are one rotation: take the nearer
        cosine, sign = -cosine, -1.0
    rest = 1.0 - ratio
    if 1.0 - cosine < _NEARLY_PARALLEL:
        wa, wb = rest, ratio * sign
    else:
        angle = math.acos(min(cosine, 1.0))
        scale = 1.0 / math.sin(angle)
        wa = math.sin(rest * angle) * scale
        wb = math.sin(ratio * angle) * scale * sign
    i, j, k, w = wa * ai + wb * bi, wa * aj + wb * bj, wa * ak + wb * bk, wa * aw + wb * bw
    norm = 1.0 / math.sqrt(i * i + j * j + k * k + w * w)
    return (
        rest * ax + ratio * bx,
        rest * ay + ratio * by,
        rest * az + ratio * bz,
        i * norm,
        j * norm,
        k * norm,
        w * norm,
    )
