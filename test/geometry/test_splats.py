"""Splats under a change of axes, against the covariance that they stand for."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.splats import Splats


def some_splats(seed: int) -> Splats:
    random = np.random.default_rng(seed)

    def draw(width: int) -> np.ndarray:
        return random.normal(size=(7, width)).astype(np.float32)

    return Splats(draw(3) / 6, draw(3), np.exp(draw(3)), draw(4), draw(1))


def covariances(splats: Splats) -> np.ndarray:
    """(N, 3, 3) of the normal distributions, by their definition R diag(sigma^2) R^T."""
    axes = Rotation.from_quat(splats.unit_rotation[:, [1, 2, 3, 0]]).as_matrix()
    return np.einsum("nij,nj,nkj->nik", axes, splats.sigma.astype(float) ** 2, axes)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.5, 2.0))
def test_positions_and_covariances_turn_together(seed: int, scale: float) -> None:
    splats = some_splats(seed)
    old_from_new = Rotation.random(random_state=seed).as_matrix()
    turned = splats.turned(old_from_new, scale)
    np.testing.assert_allclose(turned.position @ old_from_new.T, scale * splats.position, atol=1e-5)
    expected = scale**2 * old_from_new.T @ covariances(splats) @ old_from_new
    np.testing.assert_allclose(covariances(turned), expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(turned.color, splats.color)
    np.testing.assert_array_equal(turned.opacity_logit, splats.opacity_logit)
