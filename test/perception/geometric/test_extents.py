"""Whether what `geometric` completes is as large as what is there."""

from __future__ import annotations

import numpy as np
import pytest
from standing_solids import box, camera_above, look, placed

from sam3d_ros.perception.evidence import cut
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor

SEEN_FROM = camera_above(0.8, 35.0)


@pytest.mark.parametrize("heading", [0.0, 10.0, 20.0, 30.0])
@pytest.mark.parametrize("depth", [0.05, 0.06, 0.07])
def test_a_box_is_as_deep_as_its_top_shows(depth: float, heading: float) -> None:
    """Whatever depth is expected of something so wide and high."""
    size = np.array([0.2, depth, 0.14])
    frame = look({1: (box(*size), placed(0.0, 0.0, heading))}, SEEN_FROM)
    (found,) = GeometricReconstructor().reconstruct(cut(frame))
    assert np.sort(found.size) == pytest.approx(np.sort(size), abs=0.005)
