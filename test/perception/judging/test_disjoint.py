"""One mask on two things is told from one thing that something crosses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from standing_solids import CAMERA, box, camera_above, exact_estimate, look, placed

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.estimates import VerdictState
from sam3d_ros.perception.evidence import Cut, Evidence
from sam3d_ros.perception.judging.disjoint import is_disjoint
from sam3d_ros.perception.judging.verdict import DISJOINT_MASK, judge

SEEN_FROM = camera_above()
CUBE, LONG, POST = box(0.08, 0.08, 0.08), box(0.30, 0.08, 0.08), box(0.03, 0.02, 0.30)


def seen(things: Mapping[int, tuple[Mesh, Similarity]], *, merged: tuple[int, ...] = ()) -> Evidence:
    """The evidence of instance 1, with the pixels of others added to it; id 9 loses its label."""
    frame = look(things, SEEN_FROM)
    labels = frame.labels
    labels[np.isin(labels, merged)] = 1
    labels[labels == 9] = 0
    return Cut(frame).evidence(1)


def disjoint(evidence: Evidence) -> bool:
    return is_disjoint(evidence, evidence.measured(500))


@pytest.mark.parametrize("gap", [0.03, 0.08, 0.2])
@pytest.mark.parametrize("behind", [0.0, 0.12])
def test_the_table_is_seen_between_two_things(gap: float, behind: float) -> None:
    aside = 0.04 + gap / 2
    things = {1: (CUBE, placed(-aside, 0.0)), 2: (CUBE, placed(aside, behind))}
    assert disjoint(seen(things, merged=(2,)))
    assert not disjoint(seen(things))


@pytest.mark.parametrize("label", [2, 9])
def test_a_post_crosses_one_thing(label: int) -> None:
    """Labelled or not, what stands before the space between the parts may hide the rest of them."""
    evidence = seen({1: (LONG, placed(0.0, 0.0)), label: (POST, placed(0.0, -0.15))})
    assert not disjoint(evidence)


def test_crumbs_of_a_mask_are_no_parts() -> None:
    frame = look({1: (CUBE, placed(0.0, 0.0))}, SEEN_FROM)
    frame.labels[5:9, 5:9] = 1
    assert not disjoint(Cut(frame).evidence(1))


def test_things_far_behind_each_other_that_meet_in_the_image() -> None:
    near, far = box(0.06, 0.04, 0.10), box(0.40, 0.04, 0.60)
    assert disjoint(seen({1: (near, placed(0.0, -0.35)), 2: (far, placed(0.0, 0.6))}, merged=(2,)))


def test_the_verdict_says_it() -> None:
    place = placed(-0.10, 0.0)
    evidence = seen({1: (CUBE, place), 2: (CUBE, placed(0.10, 0.0))}, merged=(2,))
    verdict = judge(evidence, exact_estimate(1, CUBE, SEEN_FROM @ place))
    assert DISJOINT_MASK in verdict.reasons
    assert verdict.state is not VerdictState.ACCEPTED
    assert CAMERA.width == evidence.camera.width
