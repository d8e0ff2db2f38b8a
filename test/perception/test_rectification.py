"""Without lens distortion: what the pinhole with the same K sees, of whole frames and of parts of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulated_views import BARREL, FISHEYE, simulated
from standing_solids import CAMERA, box, camera_above, look, placed

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.evidence import Cut, cut
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.rectification import rectified, rectified_evidence

SEEN_FROM = camera_above()


def test_rectified_labels_lie_where_the_pinhole_sees_them() -> None:
    lens = replace(CAMERA, distortion_model="plumb_bob", distortion=(-0.3, 0.1, 0.001, 0.0, 0.0))
    things = {1: (box(0.16, 0.1, 0.12), placed(0.05, 0, 30))}
    straight, bent = look(things, SEEN_FROM), look(things, SEEN_FROM, camera=lens)
    mended = rectified(bent)
    assert mended.camera == CAMERA
    a, b = straight.labels == 1, mended.labels == 1
    assert np.count_nonzero(a & b) / np.count_nonzero(a | b) > 0.95
    assert rectified(straight) is straight


@pytest.mark.parametrize("seed", [1, 3])
@pytest.mark.parametrize("lens", [BARREL, FISHEYE], ids=["barrel", "fisheye"])
def test_a_rectified_part_is_a_part_of_the_rectified_frame(lens: Camera, seed: int) -> None:
    """A pixel that lies between two may fall to either side: that happens to a few of tens of thousands."""
    frame = simulated(seed, lens)
    flat = rectified(frame)
    expected = Cut(flat)
    for piece in cut(frame):
        mended = rectified_evidence(piece)
        assert mended is not None
        wanted = expected.evidence(piece.instance_id)
        assert mended.camera == wanted.camera == lens.undistorted()
        assert (mended.instance_id, mended.label) == (piece.instance_id, piece.label)
        assert mended.overview is piece.overview
        # As much room around the mask as a part of the rectified frame has, but for what that pixel may change.
        assert mended.window.grown(1, flat.labels.shape).holds(wanted.window)
        for name in ("top", "bottom", "left", "right"):
            assert abs(getattr(mended.box, name) - getattr(wanted.box, name)) <= 1
        cells = mended.window.slices
        differing = mended.labels != flat.labels[cells]
        differing |= (mended.rgb != flat.rgb[cells]).any(axis=-1)
        same_point = (mended.points == flat.points[cells]) | (
            np.isnan(mended.points) & np.isnan(flat.points[cells])
        )
        differing |= ~same_point.all(axis=-1)
        assert np.count_nonzero(differing) <= 10
        assert abs(mended.pixels - wanted.pixels) <= 10
        assert mended.pixels == np.count_nonzero(mended.mask)


def test_evidence_of_a_pinhole_stays_the_very_same() -> None:
    (piece,) = cut(look({1: (box(0.16, 0.1, 0.12), placed(0.05, 0, 30))}, SEEN_FROM))
    assert rectified_evidence(piece) is piece


def test_a_mask_that_no_pinhole_sees_is_left_out() -> None:
    """The corner of a fisheye that looks farther than the image of the pinhole goes."""
    lens = Camera(200, 160, 60.0, 60.0, 100.0, 80.0, "equidistant", (0.01, 0.0, 0.0, 0.0))
    labels = np.zeros((160, 200), np.uint16)
    labels[:6, :6], labels[70:90, 90:120] = 1, 2
    points = np.full((160, 200, 3), np.nan, np.float32)
    rgb = np.zeros((160, 200, 3), np.uint8)
    frame = Frame(0, "camera", rgb, labels, PointMap(points), PointsSource.DEPTH, lens)
    corner, middle = cut(frame)
    assert rectified_evidence(corner) is None
    assert rectified_evidence(middle) is not None
    assert rectified(frame).instance_ids() == [2]
