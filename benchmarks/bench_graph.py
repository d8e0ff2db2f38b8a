"""Rate, latency and cost of the running graph, as a subscriber in another process sees them.

`python benchmarks/bench_graph.py [--size 640x480] [--objects 5] [--rate 15] [--seconds 30] [--viewers]`

Known objects: images offered and ObjectArrays a second, the time from the stamp of an image to the arrival of its first
ObjectArray, and what the process of perception takes for each.
A new object: one instance after the other is hidden from the labels until its track is deleted, then shown again; the
time from the stamp of the first image that shows it to the arrival of the first ObjectArray that has it.

`--against PREFIX` runs the perception of another virtual environment in turn with that of this one and compares them.
`--overload` offers more and more images a second instead: the rate must hold, and the images that are tracked be new.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from compared_runs import Figures, show, show_comparison
from graph_run import Load, NothingTrackedError, Run, measured
from running_graph import Installation, machine

#: Images a second that are offered one after the other to see what happens when they are too many, Hz.
OVERLOAD_RATES = (10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
#: Share of the best rate that must be held when the most images are offered.
HELD_SHARE = 0.9
#: Domains above 101 meet the ephemeral ports of Linux.
DOMAINS = 100


class Bench:
    """Runs of the graph, each in a domain of ROS of its own."""

    def __init__(self, seconds: float, *, new_objects: bool) -> None:
        self._seconds = seconds
        self._new_objects = new_objects
        self._runs = 0

    def run(self, load: Load, installation: Installation) -> Run:
        """One run."""
        self._runs += 1
        domain = 1 + (os.getpid() + self._runs) % DOMAINS
        return measured(load, installation, domain, self._seconds, new_objects=self._new_objects)


def alternate(bench: Bench, load: Load, installations: Sequence[Installation], repeats: int) -> None:
    """Run the installations in turn, print every run, and compare them if there are two."""
    runs: dict[str, list[Figures]] = {installation.name: [] for installation in installations}
    for repeat in range(repeats):
        for installation in installations:
            title = f"run {repeat + 1}, {installation.name}" if len(installations) * repeats > 1 else "run"
            print(f"\n{title}, load {os.getloadavg()[0]:.1f}", flush=True)
            run = bench.run(load, installation)
            for name, figure in run.figures.items():
                show(name, figure)
            for stage, text in run.stages.items():
                show(f"  {stage}", f"  {text}")
            runs[installation.name].append(run.figures)
    if len(installations) == 2:
        print()
        show_comparison(*runs.values())


def overload(bench: Bench, load: Load, installations: Sequence[Installation]) -> None:
    """Offer more and more images a second, and print what is held and how old it is."""
    columns = ("offered Hz", "held Hz", "median ms", "in frames")
    print(f"\n{'':<10}" + "".join(f"{column:>12}" for column in columns))
    held: dict[str, list[float]] = {installation.name: [] for installation in installations}
    age = dict.fromkeys(held, 0.0)
    for rate in OVERLOAD_RATES:
        for installation in installations:
            figures = bench.run(replace(load, rate=rate), installation).figures
            offered, tracked = figures["images offered"].value, figures["tracked frames"].value
            latency = figures["stamp to ObjectArray, median"].value
            held[installation.name].append(tracked)
            age[installation.name] = latency * tracked / 1e3
            row = (offered, tracked, latency, age[installation.name])
            print(f"{installation.name:<10}" + "".join(f"{value:12.1f}" for value in row), flush=True)
    print()
    for name, rates in held.items():
        share = rates[-1] / max(rates)
        verdict = "holds" if share >= HELD_SHARE else "does NOT hold"
        print(
            f"{name}: {verdict} its rate, {rates[-1]:.1f} of at best {max(rates):.1f} Hz ({share:.0%}) at the highest "
            f"offer; median latency there {age[name]:.1f} frames of the rate held"
        )


def size(text: str) -> tuple[int, int]:
    """Width and height as in 640x480."""
    width, _, height = text.partition("x")
    return int(width), int(height)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each measurement")
    parser.add_argument("--size", type=size, default=(640, 480), metavar="WxH", help="of the images, pixels")
    parser.add_argument("--objects", type=int, default=5, help="objects in the scene")
    parser.add_argument("--seed", type=int, default=7, help="seed of the scene")
    parser.add_argument("--rate", type=float, default=15.0, help="images a second")
    parser.add_argument("--sensor", choices=("depth", "all"), default="all", help="all: depth and LiDAR")
    parser.add_argument("--viewers", action="store_true", help="subscribe to markers, meshes and detections")
    parser.add_argument("--cores", type=int, default=2, help="processor cores that all processes share")
    parser.add_argument("--no-new", action="store_true", help="known objects only")
    parser.add_argument("--against", type=Path, metavar="PREFIX", help="environment of another version")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each version")
    parser.add_argument("--overload", action="store_true", help="offer more and more images a second")
    options = parser.parse_args()
    if options.overload and options.repeats != 1:
        parser.error("--overload makes one run at each rate: leave out --repeats")
    # A benchmark that is ended ends its processes, too.
    signal.signal(signal.SIGTERM, lambda number, _stack: sys.exit(128 + number))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    installations = [Installation.this()]
    if options.against is not None:
        installations.append(Installation.other(options.against))
    width, height = options.size
    load = Load(
        width, height, options.objects, options.seed, options.rate, options.sensor, viewers=options.viewers
    )
    rates = "rising rates" if options.overload else f"{options.rate:g} Hz"
    print(f"{load}, at {rates}; {machine()}")
    try:
        if options.overload:
            overload(Bench(options.seconds, new_objects=False), load, installations)
        else:
            bench = Bench(options.seconds, new_objects=not options.no_new)
            alternate(bench, load, installations, options.repeats)
    except NothingTrackedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
