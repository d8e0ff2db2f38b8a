"""What ACCEPTED is worth: how many objects get it, how many of them are badly wrong, and what masks that lie do to it.

`python benchmarks/bench_verdicts.py [--scenes 200] [--first-seed S] [--jobs N] [--pieces 60] [--brief]`

- objects: of simulated scenes, as the graph answers them. Wrong = the mean distance to the true surface is more than a
  tenth of the true diameter, or an extent is off by more than 15 %;
- merged: one label on two things of a scene, with the table seen between them: never right;
- cut: a bar crosses the view of a thing and cuts its mask in two, labelled in even scenes and furniture in odd ones:
  legitimate.

The last two look at one thing in each of the first `--pieces` scenes.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from simulated_views import View, add_seeds, answers, look, over_seeds, random_view

from sam3d_ros.geometry.shape_measures import add_sb, bootstrap_interval, extent_errors
from sam3d_ros.geometry.surfaces import transformed
from sam3d_ros.perception.estimates import ObjectEstimate, VerdictState
from sam3d_ros.perception.frame import Frame
from sam3d_ros.simulation.hiding import bar_before
from sam3d_ros.simulation.scenes import Scene

WRONG_SURFACE, WRONG_EXTENT = 0.10, 0.15
#: Pixels of background between two masks that are merged, and of each of them, at least.
LEAST_GAP, LEAST_MASK = 5, 300
ACCEPTED = VerdictState.ACCEPTED.name


@dataclass(frozen=True)
class Judged:
    """One object, how it was judged, and how wrong it is.

    Attributes:
        seed, label: which.
        verdict, reasons: the judgement.
        surface: distance to the true surface, share of the true diameter; NaN = there is no truth.
        extent: largest relative error of an extent, signed.
    """

    seed: int
    label: str
    verdict: str
    reasons: tuple[str, ...]
    surface: float = np.nan
    extent: float = np.nan

    @property
    def is_wrong(self) -> bool:
        """Whether ACCEPTED would be false."""
        return self.surface > WRONG_SURFACE or abs(self.extent) > WRONG_EXTENT


def judged(seed: int, view: View, estimate: ObjectEstimate) -> Judged:
    """Compare an estimate with the truth of its view."""
    thing, pose = view.things[estimate.instance_id], view.pose(estimate.instance_id)
    extents = extent_errors(estimate.mesh, estimate.camera_from_object, thing.mesh, pose)
    posed = transformed(estimate.mesh, estimate.camera_from_object)
    verdict = estimate.verdict
    return Judged(
        seed,
        thing.label,
        verdict.state.name,
        verdict.reasons,
        add_sb(posed, transformed(thing.mesh, pose)),
        float(extents[np.argmax(np.abs(extents))]),
    )


def whole_scene(seed: int) -> list[Judged]:
    """All objects of a scene."""
    view = random_view(seed)
    return [judged(seed, view, estimate) for _, estimate in answers(view.frame)]


def merged_pair(seed: int) -> list[Judged]:
    """Two things of a scene under one label; nothing where no two have background between them."""
    view = random_view(seed)
    pair = apart(view.frame.labels, view.frame.instance_ids())
    if pair is None:
        return []
    labels = view.frame.labels.copy()
    labels[labels == pair[1]] = pair[0]
    found = alone(replace(view.frame, labels=labels), pair[0])
    names = "+".join(view.things[i].label for i in pair)
    return [Judged(seed, names, found.verdict.state.name, found.verdict.reasons)]


def apart(labels: NDArray[np.uint16], ids: Sequence[int]) -> tuple[int, int] | None:
    """Of all pairs of instances with nothing but background on the way between them, the one with the least gap."""
    pixels = {i: np.argwhere(labels == i) for i in ids}
    best, best_gap = None, np.inf
    for a in ids:
        for b in ids:
            if a >= b or min(len(pixels[a]), len(pixels[b])) < LEAST_MASK:
                continue
            distance, nearest = cKDTree(pixels[b]).query(pixels[a])
            start = pixels[a][int(np.argmin(distance))]
            end = pixels[b][int(nearest[np.argmin(distance)])]
            steps = int(np.abs(end - start).max())
            way = np.rint(np.linspace(start, end, steps + 1)).astype(int)[1:-1]
            if len(way) >= LEAST_GAP and not labels[tuple(way.T)].any() and steps < best_gap:
                best, best_gap = (a, b), steps
    return best


def cut_by_a_bar(seed: int) -> list[Judged]:
    """One thing of a scene behind a bar; nothing where no thing is seen as a whole."""
    view = random_view(seed)
    where = view.rendering.world_from_camera
    rng = np.random.default_rng(seed)
    instance_id = int(rng.choice(sorted(view.things)))
    bar = bar_before(view.things[instance_id], where, instance_id=0 if seed % 2 else len(view.things) + 1)
    objects, furniture = view.scene.objects, view.scene.furniture
    if bar.instance_id:
        objects = (*objects, bar)
    else:
        furniture = (*furniture, bar)
    crossed = look(Scene(objects, furniture, view.scene.light), where, rng)
    if instance_id not in crossed.frame.instance_ids():
        return []
    return [judged(seed, crossed, alone(crossed.frame, instance_id))]


def alone(frame: Frame, instance_id: int) -> ObjectEstimate:
    """The answer for one instance of a frame."""
    return next(estimate for piece, estimate in answers(frame) if piece.instance_id == instance_id)


def row(name: str, some: Sequence[Judged]) -> str:
    """A line of the table."""
    accepted = [j for j in some if j.verdict == ACCEPTED]
    wrong = [float(j.is_wrong) for j in accepted]
    share = len(accepted) / len(some) if some else np.nan
    false = float(np.mean(wrong)) if wrong else np.nan
    low, high = bootstrap_interval(wrong, lambda sample: sample.mean(axis=-1))
    all_wrong = sum(j.is_wrong for j in some)
    return (
        f"{name:22s} {len(some):6d} {len(accepted):9d} {share:7.1%} {all_wrong:6d} {int(sum(wrong)):15d} "
        f"{false:7.2%}  {low:.2%}..{high:.2%}"
    )


def report(name: str, some: Sequence[Judged], *, brief: bool, by_label: bool) -> None:
    """The table of one kind of masks."""
    print(
        f"\n{name:22s} {'count':>6s} {ACCEPTED:>9s} {'share':>7s} {'wrong':>6s} {'ACCEPTED, wrong':>15s} "
        f"{'share':>7s}  95 % interval"
    )
    print(row("all", some))
    if by_label:
        for label in sorted({j.label for j in some}):
            print(row(label, [j for j in some if j.label == label]))
    print("verdicts", dict(Counter(j.verdict for j in some)))
    print("reasons ", dict(Counter(reason for j in some for reason in j.reasons).most_common()))
    if not brief:
        for j in some:
            if j.verdict == ACCEPTED and (j.is_wrong or np.isnan(j.surface)):
                print(
                    f"  ACCEPTED: seed {j.seed} {j.label}, surface {j.surface:.1%}, worst extent {j.extent:+.1%}"
                )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_seeds(parser, scenes=200)
    parser.add_argument("--pieces", type=int, default=60, help="scenes with merged and with cut masks")
    parser.add_argument("--brief", action="store_true", help="no line for each wrong one")
    arguments = parser.parse_args()
    report("objects", over_seeds(whole_scene, arguments), brief=arguments.brief, by_label=True)
    few = argparse.Namespace(**{**vars(arguments), "scenes": arguments.pieces})
    report("merged", over_seeds(merged_pair, few), brief=arguments.brief, by_label=False)
    report("cut", over_seeds(cut_by_a_bar, few), brief=arguments.brief, by_label=False)


if __name__ == "__main__":
    main()
