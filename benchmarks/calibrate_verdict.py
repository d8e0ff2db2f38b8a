"""The trade-off of the verdict: how many objects are ACCEPTED, and how many of them wrongly, over its thresholds.

`python benchmarks/calibrate_verdict.py [--scenes 200] [--first-seed 0] [--jobs N]`

Objects of simulated scenes are reconstructed once and judged with each threshold; wrong as `bench_verdicts.py` has it.
Also whether `size_sigma` is true: errors of extents divided by it are standard normal where it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from bench_verdicts import Judged, judged
from numpy.typing import NDArray
from simulated_views import add_seeds, over_seeds, random_view

from sam3d_ros.perception.estimates import VerdictState
from sam3d_ros.perception.evidence import cut
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.judging.determination import DeterminationConfig, is_determined
from sam3d_ros.perception.judging.verdict import VerdictThresholds
from sam3d_ros.perception.pipeline import ObjectPipeline, PipelineConfig

#: Standard deviations of an extent, as shares of it, that are tried.
SIGMA_SHARES = (0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.2, 10.0)
BY_NAME = DeterminationConfig()
#: Nothing is asked of the extents.
LENIENT = DeterminationConfig(accept_size_sigma=10.0, protruding_labels=())
#: Shares of a normal distribution within so many standard deviations.
COVERAGE = {0.50: 0.674, 0.68: 1.0, 0.90: 1.645, 0.95: 1.96}


@dataclass(frozen=True, eq=False)
class Candidate:
    """An object, judged without regard to its extents.

    Attributes:
        judged: how, and how wrong it is.
        sigma_share: largest standard deviation of an extent, as a share of it; NaN = not known.
        is_clear: its name asks for nothing, or what is asked for was seen.
        deviation: (3,) errors of its extents in their standard deviations.
    """

    judged: Judged
    sigma_share: float
    is_clear: bool
    deviation: NDArray[np.float64]


def candidates(seed: int) -> list[Candidate]:
    """The objects of a scene."""
    view = random_view(seed)
    evidence = cut(view.frame)
    lenient = PipelineConfig(verdict=VerdictThresholds(determination=LENIENT))
    found = []
    for estimate in ObjectPipeline(GeometricReconstructor(), lenient).reconstruct(evidence):
        thing, pose = view.things[estimate.instance_id], view.pose(estimate.instance_id)
        sigma_share = np.array(estimate.verdict.size_sigma) / estimate.size
        axes = estimate.camera_from_object.rotation
        true_size = np.ptp(pose.apply(thing.mesh.vertices) @ axes, axis=0)
        found.append(
            Candidate(
                judged(seed, view, estimate),
                float(sigma_share.max()),
                is_determined(estimate, replace(BY_NAME, accept_size_sigma=LENIENT.accept_size_sigma)),
                (estimate.size - true_size) / np.array(estimate.verdict.size_sigma),
            )
        )
    return found


def table(some: Sequence[Candidate], passes: Callable[[Candidate], bool]) -> None:
    """ACCEPTED and wrongly ACCEPTED for each threshold."""
    print(f"{'size sigma <=':>14s} {'ACCEPTED':>9s} {'share':>7s} {'wrong':>6s} {'share':>7s}")
    for most in SIGMA_SHARES:
        kept = [
            c
            for c in some
            if c.judged.verdict == VerdictState.ACCEPTED.name and passes(c) and not c.sigma_share > most
        ]
        wrong = sum(c.judged.is_wrong for c in kept)
        print(
            f"{most:14.2f} {len(kept):9d} {len(kept) / len(some):7.1%} {wrong:6d} {wrong / max(1, len(kept)):7.2%}"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_seeds(parser, scenes=200)
    some = over_seeds(candidates, parser.parse_args())
    print(f"\n{len(some)} objects, size alone")
    table(some, lambda _: True)
    print(f"\nthe same, and of {', '.join(BY_NAME.protruding_labels)} only what shows its protrusion")
    table(some, lambda candidate: candidate.is_clear)
    deviation = np.abs(np.concatenate([c.deviation for c in some]))
    deviation = deviation[np.isfinite(deviation)]
    inside = "  ".join(f"{share:.0%}: {np.mean(deviation < k):.1%}" for share, k in COVERAGE.items())
    print(f"\nextents within the interval of their size_sigma that holds  {inside}")


if __name__ == "__main__":
    main()
