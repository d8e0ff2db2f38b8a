"""Where ACCEPTED should end: how many objects get it and how many of these are wrong, over the bounds of their extents.

`python benchmarks/calibrate_verdict.py [--scenes 200] [--first-seed S] [--jobs N]`

Simulated scenes are answered once; then every bound on the relative standard deviation of the extents is tried, with
and without the rule for things that have a handle. Wrong is what `bench_verdicts.py` calls so. The second table tells
whether the standard deviations are true: how often errors of extents are within 0.67, 1, 1.64 and 1.96 of them, where a
normal distribution has 50, 68, 90 and 95 %.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from bench_verdicts import Judged, judged
from numpy.typing import NDArray
from simulated_views import add_seeds, answers, over_seeds, random_view

from sam3d_ros.geometry.surfaces import transformed
from sam3d_ros.perception.estimates import VerdictState
from sam3d_ros.perception.judging.determination import (
    HIDDEN_SIDE_UNKNOWN,
    DeterminationConfig,
    is_determined,
)

BOUNDS = (0.05, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 10.0)
SEEN_SHARES = (0.0, 0.2, 0.25, 0.3, 0.33, 0.36, 0.4)
LEVELS = (0.6745, 1.0, 1.6449, 1.96)


@dataclass(frozen=True, eq=False)
class Candidate:
    """One object: what it would be ACCEPTED by, and whether it should be.

    Attributes:
        outcome: against the truth.
        is_open: whether nothing but its extents may speak against it.
        accepted: whether it is determined, by (bound, with the rule for handles).
        seen: whether it is, by the least measured share of its surface.
        normalised: (3,) errors of the extents in their standard deviations.
    """

    outcome: Judged
    is_open: bool
    accepted: dict[tuple[float, bool], bool]
    seen: dict[float, bool]
    normalised: NDArray[np.float64]


def candidates(seed: int) -> list[Candidate]:
    """The objects of a scene."""
    view, found = random_view(seed), []
    for _, estimate in answers(view.frame):
        verdict, pose = estimate.verdict, estimate.camera_from_object
        thing = view.things[estimate.instance_id]
        true = np.ptp(
            transformed(thing.mesh, view.pose(estimate.instance_id)).vertices @ pose.rotation, axis=0
        )
        others = set(verdict.reasons) - {HIDDEN_SIDE_UNKNOWN}
        accepted = {}
        for bound in BOUNDS:
            for with_rule in (False, True):
                config = DeterminationConfig(accept_size_sigma=bound)
                config = config if with_rule else replace(config, protruding_labels=())
                accepted[bound, with_rule] = is_determined(estimate, config)
        found.append(
            Candidate(
                outcome=judged(seed, view, estimate),
                is_open=not others and verdict.state is not VerdictState.REJECTED,
                accepted=accepted,
                seen={
                    share: is_determined(estimate, DeterminationConfig(accept_seen_share=share))
                    for share in SEEN_SHARES
                },
                normalised=(estimate.size - true) / np.array(verdict.size_sigma),
            )
        )
    return found


def traded(taken: Sequence[Judged], count: int) -> str:
    """How many of some objects are ACCEPTED, and how many of these are wrong, and which."""
    wrong = [o for o in taken if o.is_wrong]
    share = len(wrong) / len(taken) if taken else np.nan
    return (
        f"{len(taken):9d} {len(taken) / count:7.1%} {len(wrong):6d} {share:7.2%}  "
        f"{dict(Counter(o.label for o in wrong))}"
    )


def report(found: Sequence[Candidate]) -> None:
    """All tables."""
    print(
        f"\n{'bound':>6s} {'handles':>8s} {'ACCEPTED':>9s} {'share':>7s} {'wrong':>6s} {'share':>7s}  which"
    )
    for bound in BOUNDS:
        for with_rule in (False, True):
            taken = [c.outcome for c in found if c.is_open and c.accepted[bound, with_rule]]
            print(f"{bound:6.2f} {'yes' if with_rule else 'no':>8s} {traded(taken, len(found))}")
    print(f"\n{'seen':>6s} {'':8s} {'ACCEPTED':>9s} {'share':>7s} {'wrong':>6s} {'share':>7s}  which")
    for least in SEEN_SHARES:
        taken = [c.outcome for c in found if c.is_open and c.seen[least]]
        print(f"{least:6.2f} {'':8s} {traded(taken, len(found))}")
    errors = np.array([c.normalised for c in found])
    errors = np.abs(errors[np.isfinite(errors).all(axis=1)])
    print(f"\n{'extent':>6s} {'count':>6s} " + " ".join(f"{level:7.2f}" for level in LEVELS))
    for axis, name in enumerate("xyz"):
        inside = " ".join(f"{np.mean(errors[:, axis] < level):7.1%}" for level in LEVELS)
        print(f"{name:>6s} {len(errors):6d} {inside}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_seeds(parser, scenes=200)
    report(over_seeds(candidates, parser.parse_args()))


if __name__ == "__main__":
    main()
