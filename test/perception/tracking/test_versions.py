"""When a mesh is made anew, when the new one is taken, and which parameters are refused."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracking_world import SECOND, box

from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.tracking.association import AssociationConfig
from sam3d_ros.perception.tracking.following import FollowingConfig
from sam3d_ros.perception.tracking.instances import InstanceView
from sam3d_ros.perception.tracking.tracker import TrackerConfig
from sam3d_ros.perception.tracking.tracks import Track
from sam3d_ros.perception.tracking.versions import (
    ReconstructionReason,
    VersionConfig,
    may_replace,
    reconstruction_reason,
)
from sam3d_ros.perception.window import Window

CONFIG = VersionConfig(improvement=1.5, min_interval=2.0, retry_interval=1.0, retry_share=0.6)
ACCEPTED, UNCERTAIN, REJECTED = VerdictState


def view(
    pixels: int, *, measured: float = 1.0, touches_border: bool = False, hidden: float = 0.0
) -> InstanceView:
    return InstanceView(
        instance_id=1,
        label="",
        pixels=pixels,
        box=Window(0, 10, 0, 10),
        cells=np.arange(4),
        center=np.zeros(3),
        extent=0.1,
        measured=measured,
        touches_border=touches_border,
        hidden=hidden,
    )


def verdict(state: VerdictState) -> Verdict:
    return Verdict(state, (), 0.9, 0.001, 0.9, 100, ScaleSource.DEPTH)


def track_with_mesh(now: InstanceView, state: VerdictState = ACCEPTED, *, made_from: float = 1000.0) -> Track:
    thing = box(1, 0.0, 0.0, 1.0)
    estimate = ObjectEstimate(1, "", thing.mesh, thing.fixed_from_object, np.eye(6), verdict(state))
    return Track(
        1, now, 0, (10, 10), np.zeros(2), estimate=estimate, mesh_version=1, version_quality=made_from
    )


def test_a_track_without_a_mesh_is_new() -> None:
    track = Track(1, view(100), 0, (10, 10), np.zeros(2))
    assert reconstruction_reason(track, 0, CONFIG) is ReconstructionReason.NEW


def test_a_mesh_made_without_a_measurement_is_made_anew_at_the_first_one() -> None:
    track = track_with_mesh(view(100, measured=0.0), REJECTED, made_from=100.0)
    track.version_measured = False
    assert reconstruction_reason(track, 0, CONFIG) is None
    track.view = view(100, measured=0.1)
    assert reconstruction_reason(track, 0, CONFIG) is ReconstructionReason.MEASURED


@pytest.mark.parametrize(
    ("seconds", "pixels", "expected"),
    [
        (10.0, 1499, None),
        (10.0, 1501, ReconstructionReason.BETTER_VIEW),
        (1.9, 5000, None),
        (2.0, 5000, ReconstructionReason.BETTER_VIEW),
    ],
)
def test_a_better_view_counts_after_a_while(
    seconds: float, pixels: int, expected: ReconstructionReason | None
) -> None:
    track = track_with_mesh(view(pixels))
    assert reconstruction_reason(track, round(seconds * SECOND), CONFIG) is expected


def test_whole_measured_unhidden_views_are_worth_more() -> None:
    best = view(1000).quality
    assert best == 1000.0
    for worse in (
        view(999),
        view(1000, measured=0.5),
        view(1000, touches_border=True),
        view(1000, hidden=0.3),
    ):
        assert worse.quality < best


def test_a_rejected_mesh_is_tried_again_ever_more_rarely() -> None:
    track = track_with_mesh(view(1000), REJECTED)
    expected = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 64.0]
    for failures, seconds in enumerate(expected):
        track.failures = failures
        before, after = round((seconds - 0.01) * SECOND), round((seconds + 0.01) * SECOND)
        assert reconstruction_reason(track, before, CONFIG) is None
        assert reconstruction_reason(track, after, CONFIG) is ReconstructionReason.MISFIT


def test_a_half_hidden_or_unmeasured_object_needs_no_new_mesh() -> None:
    for worse in (view(500), view(1000, measured=0.0), view(1000, hidden=0.5)):
        assert reconstruction_reason(track_with_mesh(worse, REJECTED), 100 * SECOND, CONFIG) is None


def test_a_mesh_that_fits_no_more_is_tried_again() -> None:
    """From another side a mesh may turn out to be wrong; that little is seen of an object is no such reason."""
    for reasons, expected in (
        (("low_mask_iou",), ReconstructionReason.MISFIT),
        (("occluded", "free_space_violation"), ReconstructionReason.MISFIT),
        (("occluded", "touches_border", "too_few_points"), None),
    ):
        track = track_with_mesh(view(1000), UNCERTAIN)
        assert track.estimate is not None
        track.estimate = replace(track.estimate, verdict=replace(track.estimate.verdict, reasons=reasons))
        assert reconstruction_reason(track, 2 * SECOND, CONFIG) is expected


@pytest.mark.parametrize(("overlap", "taken"), [(0.9, False), (0.91, False), (0.93, True), (np.nan, False)])
def test_of_two_doubtful_meshes_the_better_one_is_kept(overlap: float, taken: bool) -> None:
    for state in (UNCERTAIN, REJECTED):
        assert may_replace(replace(verdict(state), mask_iou=overlap), verdict(state), state) is taken


def test_a_good_mesh_gives_way_to_no_worse_one() -> None:
    for new, old, best in itertools.product(VerdictState, repeat=3):
        if best.value > old.value:
            continue
        taken = may_replace(verdict(new), verdict(old), best)
        if new is REJECTED and best is not REJECTED:
            assert not taken
        elif new is not old:
            assert taken == (new.value < old.value)
        elif new is ACCEPTED:
            assert taken


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (AssociationConfig(), {"min_overlap": -0.1}),
        (AssociationConfig(), {"overlap_weight": 1.1}),
        (AssociationConfig(), {"gate_floor": 0.0}),
        (TrackerConfig(), {"max_objects": 0}),
        (TrackerConfig(), {"min_mask_pixels": 0}),
        (TrackerConfig(), {"lost_timeout": -1.0}),
        (VersionConfig(), {"improvement": 1.0}),
        (VersionConfig(), {"retry_share": 2.0}),
        (FollowingConfig(), {"max_rays": 10}),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(config: object, changes: dict[str, float]) -> None:
    (name,) = changes
    with pytest.raises(ValueError, match=rf"^parameter {name} is .*: give a (whole )?number from"):
        replace(config, **changes)  # type: ignore[type-var]


@given(st.sampled_from(["rest_overlap", "rest_residual", "gain_overlap", "gain_residual"]))
def test_nan_is_no_parameter(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        replace(FollowingConfig(), **{name: float("nan")})


def test_an_infinite_improvement_never_asks() -> None:
    track = track_with_mesh(view(10**9))
    assert reconstruction_reason(track, 10**12, VersionConfig(improvement=1e6)) is None
