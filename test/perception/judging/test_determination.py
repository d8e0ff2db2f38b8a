"""Extents that are not determined are not accepted, nor things whose handle may be behind them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from standing_solids import box, exact_estimate

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.judging.determination import (
    HIDDEN_SIDE_UNKNOWN,
    DeterminationConfig,
    protrudes,
    with_determination,
)

CONFIG = DeterminationConfig()


def known(
    size: tuple[float, float, float], share: float, label: str = "", *, seen_to: float = 1.0
) -> ObjectEstimate:
    """A box with extents of a relative standard deviation, measured along x up to a share of its length."""
    estimate = exact_estimate(1, box(*size), Similarity(translation=(0.0, 0.0, 1.0)))
    x = estimate.mesh.vertices[:, 0]
    verdict = replace(estimate.verdict, size_sigma=tuple(share * estimate.size))
    return replace(
        estimate, label=label, verdict=verdict, measured=x <= x.min() + (seen_to + 1e-3) * np.ptp(x)
    )


def reasons(estimate: ObjectEstimate) -> tuple[str, ...]:
    return with_determination(estimate, CONFIG).verdict.reasons


def test_extents_are_determined_up_to_the_threshold() -> None:
    limit = CONFIG.accept_size_sigma
    assert reasons(known((0.2, 0.1, 0.1), 0.99 * limit)) == ()
    assert reasons(known((0.2, 0.1, 0.1), 1.01 * limit)) == (HIDDEN_SIDE_UNKNOWN,)


@pytest.mark.parametrize(("more", "answer"), [(0.01, ()), (-0.01, (HIDDEN_SIDE_UNKNOWN,))])
def test_enough_of_the_surface_was_seen(more: float, answer: tuple[str, ...]) -> None:
    estimate = known((0.2, 0.1, 0.1), 0.05)
    verdict = replace(estimate.verdict, seen_share=CONFIG.accept_seen_share + more)
    assert reasons(replace(estimate, verdict=verdict)) == answer


def test_the_reason_is_given_once() -> None:
    twice = with_determination(with_determination(known((0.2, 0.1, 0.1), 1.0), CONFIG), CONFIG)
    assert twice.verdict.reasons == (HIDDEN_SIDE_UNKNOWN,)


def test_what_nobody_tells_is_not_held_against_an_object() -> None:
    estimate = exact_estimate(1, box(0.1, 0.1, 0.1), Similarity())
    assert with_determination(estimate, CONFIG) is estimate


@pytest.mark.parametrize(
    ("size", "seen_to", "is_determined"),
    [((0.12, 0.09, 0.1), 1.0, True), ((0.12, 0.09, 0.1), 0.75, False), ((0.09, 0.09, 0.1), 1.0, False)],
)
def test_a_mug_has_to_show_its_handle(
    size: tuple[float, float, float], seen_to: float, is_determined: bool
) -> None:
    assert (reasons(known(size, 0.03, "mug", seen_to=seen_to)) == ()) is is_determined
    assert reasons(known(size, 0.03, "cup", seen_to=seen_to)) == ()


def test_names_are_found_as_words() -> None:
    names = CONFIG.protruding_labels
    assert all(
        protrudes(name, names) for name in ("mug", "Coffee Mug", "025_mug", "watering-can", "frying pan")
    )
    assert not any(protrudes(name, names) for name in ("", "can", "smug", "panel", "watering"))
