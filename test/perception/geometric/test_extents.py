"""Whether what `geometric` completes is as large as what is there."""

from __future__ import annotations

import numpy as np
import pytest
from standing_solids import box, camera_above, look, placed

from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.evidence import cut
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.simulation import shapes

SEEN_FROM = camera_above(0.8, 35.0)


@pytest.mark.parametrize("heading", [0.0, 10.0, 20.0, 30.0])
@pytest.mark.parametrize("depth", [0.05, 0.06, 0.07])
def test_a_box_is_as_deep_as_its_top_shows(depth: float, heading: float) -> None:
    """Whatever depth is expected of something so wide and high."""
    size = np.array([0.2, depth, 0.14])
    frame = look({1: (box(*size), placed(0.0, 0.0, heading))}, SEEN_FROM)
    (found,) = GeometricReconstructor().reconstruct(cut(frame))
    assert np.sort(found.size) == pytest.approx(np.sort(size), abs=0.005)


@pytest.mark.parametrize("heading", [-130.0, -110.0, -90.0, -70.0])
def test_a_handle_before_a_mug_is_not_mirrored_behind_it(heading: float) -> None:
    """The rim shows that the mug ends behind where round things do."""
    vertices, triangles = shapes.mug(0.042, 0.1, 0.006)
    mug = Mesh(vertices, triangles, np.full((len(vertices), 3), 200))
    frame = look({1: (mug, placed(0.0, 0.0, heading))}, SEEN_FROM)
    (found,) = GeometricReconstructor().reconstruct(cut(frame))
    assert found.size[:2].max() == pytest.approx(np.ptp(vertices[:, 0]), rel=0.08)
