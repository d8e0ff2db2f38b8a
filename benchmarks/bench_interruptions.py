"""What interruptions do to the graph under its own launch file.

`python benchmarks/bench_interruptions.py [--cases killed stopped gone loop rewound] [--minutes 5] [--rate 10]`

- killed: SIGKILL for the process of perception; the launch file starts it again, and consumers see another session.
- stopped: SIGSTOP, ten seconds, SIGCONT.
- gone: the process of the camera ends, and another one begins a minute later.
- loop: a recording of a camera that moves, over and over, stamped when it is played; at its end the camera jumps back
  to its beginning.
- rewound: one with its own stamps, as `ros2 bag play --loop` plays it. With each round time goes back: everything is
  forgotten, and the objects are made anew under new ids. Until they are made, ObjectArrays are empty.

Times are those of a consumer in another process and depend on the load of the machine, which is shown beside them. Ends
with 1 if the graph did not recover, showed more objects than there are, or ended.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from process_use import ProcessUse, resident
from rclpy.signals import SignalHandlerOptions
from recorded_table import write_recording
from running_graph import machine, running, started, use_domain

from sam3d_ros.msg import ObjectArray
from sam3d_ros.nodes.lifecycle import quickest_executor
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import nanoseconds

#: The first case gets the first, each further one the next.
FIRST_DOMAIN = 70
OBJECTS, FRAMES, SIZE = 5, 20, (640, 480)
#: How long the graph may take to start, and to recover, seconds.
START_PATIENCE, PATIENCE = 120.0, 60.0
#: How long it is left alone before anything happens to it, and listened to afterwards, seconds.
SETTLING = 5.0
KILLS = 5
#: Of the launch file, seconds.
RESPAWN_DELAY = 1.0
STOPPED, GONE = 10.0, 60.0
MINUTE, MEMORY_PERIOD = 60.0, 5.0


class NotRecoveredError(RuntimeError):
    """The graph did not come back, or something is there that is not in the scene."""


@dataclass(frozen=True)
class Told:
    """An ObjectArray: when it came (`time.monotonic`, seconds), the stamp of its image, whose it is, and its ids."""

    time: float
    stamp: int
    session: int
    ids: frozenset[int]


class Consumer:
    """Who hears of objects.

    Attributes:
        told: what was heard since it was emptied last.
        faults: what /diagnostics said since then that is not as it should be.
    """

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.faults: set[str] = set()
        self._node = rclpy.create_node("bench_interruptions", start_parameter_services=False)
        reliable = qos_profile("reliable")
        self._node.create_subscription(ObjectArray, "sam3d_objects/objects", self._note, reliable)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._read, 10)
        self._executor = quickest_executor()
        self._executor.add_node(self._node)

    @property
    def newest(self) -> Told | None:
        """The last one heard."""
        return self.told[-1] if self.told else None

    def spin(self, seconds: float) -> None:
        """Listen for some time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, 0.1))

    def await_one(self, wanted: Callable[[Told], bool], patience: float, what: str) -> Told:
        """Listen until the newest array is wanted; raises NotRecoveredError."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.1)
            if self.newest is not None and wanted(self.newest):
                return self.newest
        raise NotRecoveredError(f"{what} did not come within {patience:g} s; last heard: {self.newest}")

    def forget(self) -> None:
        """Empty what was heard."""
        self.told.clear()
        self.faults.clear()

    def close(self) -> None:
        """End the node."""
        self._executor.shutdown()
        self._node.destroy_node()

    def _note(self, message: ObjectArray) -> None:
        ids = frozenset(thing.id for thing in message.objects)
        self.told.append(Told(time.monotonic(), nanoseconds(message.header.stamp), message.session, ids))

    def _read(self, message: DiagnosticArray) -> None:
        bad = (status for status in message.status if status.level != status.OK)
        self.faults.update(f"{status.name.rpartition(': ')[2]}: {status.message}" for status in bad)


#: Begins to play; to be used with `with`.
Camera = Callable[[], AbstractContextManager[subprocess.Popen[bytes]]]


@dataclass
class Graph:
    """The launch file as a user starts it, its camera, and a consumer of what comes out.

    Attributes:
        launch: the process of ros2 launch.
        consumer: of the objects.
        start_camera: begins to play.
    """

    launch: subprocess.Popen[bytes]
    consumer: Consumer
    start_camera: Camera

    def perception(self) -> int:
        """The process of perception; raises NotRecoveredError where there is none."""
        for child in Path(f"/proc/{self.launch.pid}/task/{self.launch.pid}/children").read_text().split():
            if "sam3d_ros/perception" in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
        raise NotRecoveredError("there is no process of perception")

    def settled(self) -> Told:
        """Wait until all objects are known, and a little longer; what is told then."""
        self.consumer.await_one(lambda told: len(told.ids) == OBJECTS, START_PATIENCE, "all objects")
        self.consumer.spin(SETTLING)
        newest = self.consumer.newest
        assert newest is not None
        return newest


@contextmanager
def graph(domain: int, camera: Camera) -> Iterator[Graph]:
    """Start all but the camera."""
    use_domain(domain)
    command = [str(Path(sys.executable).with_name("ros2")), "launch", "sam3d_ros", "perception.launch.py"]
    command += [
        "sam3d_respawn:=true",
        "sam3d_reconstructor:=geometric",
        "sam3d_target_frame:=map",
        "sam3d_log_level:=fatal",
    ]
    with started(command) as launch:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        consumer = Consumer()
        try:
            yield Graph(launch, consumer, camera)
        finally:
            consumer.close()
            rclpy.shutdown()


def killed(graph: Graph, _options: argparse.Namespace) -> list[str]:
    """SIGKILL, several times; how long until another session tells of objects, and of all of them."""
    first, whole, work = [], [], []
    with graph.start_camera():
        before = graph.settled()
        for _ in range(KILLS):
            session = before.session
            pid, at = graph.perception(), time.monotonic()
            os.kill(pid, signal.SIGKILL)
            again = graph.consumer.await_one(anew(session, 1), PATIENCE, "another session")
            used = ProcessUse.read(graph.perception())
            first.append(again.time - at)
            work.append((used.user + used.system) / 1e3)
            full = graph.consumer.await_one(anew(session, OBJECTS), PATIENCE, "all objects")
            whole.append(full.time - at)
            before = graph.settled()
    return [
        f"killed {KILLS} times: another session with objects after {spread(first)}, with all of them after "
        f"{spread(whole)}",
        f"  processor time of the new process until the first: {spread(work)}; it is started after {RESPAWN_DELAY:g} s",
    ]


def anew(session: int, least: int) -> Callable[[Told], bool]:
    """Whether another session than this one tells of so many objects."""
    return lambda told: told.session != session and len(told.ids) >= least


def stopped(graph: Graph, _options: argparse.Namespace) -> list[str]:
    """SIGSTOP and SIGCONT."""
    with graph.start_camera():
        before = graph.settled()
        pid = graph.perception()
        os.kill(pid, signal.SIGSTOP)
        try:
            graph.consumer.spin(STOPPED)
        finally:
            os.kill(pid, signal.SIGCONT)
        at, now = time.monotonic(), time.time_ns()
        fresh = graph.consumer.await_one(
            lambda told: told.stamp > now and len(told.ids) == OBJECTS, PATIENCE, "all objects of a new image"
        )
        graph.consumer.forget()
        after = graph.settled()
        most = max(len(told.ids) for told in graph.consumer.told)
    if graph.perception() != pid or after.session != before.session:
        raise NotRecoveredError("the process was replaced")
    check_count(most)
    return [
        f"stopped for {STOPPED:g} s: all objects of a new image after {fresh.time - at:.1f} s, {ids(before, after)}"
    ]


def gone(graph: Graph, _options: argparse.Namespace) -> list[str]:
    """The camera ends and comes back."""
    with graph.start_camera():
        before = graph.settled()
    graph.consumer.forget()
    graph.consumer.spin(GONE)
    faults = "; ".join(sorted(graph.consumer.faults)) or "none"
    left = len(graph.consumer.newest.ids) if graph.consumer.newest else OBJECTS
    last = [told.time for told in graph.consumer.told]
    with graph.start_camera():
        at = time.time_ns()
        back = graph.consumer.await_one(
            lambda told: told.stamp > at and len(told.ids) == OBJECTS, START_PATIENCE, "all objects"
        )
        arrays = [told for told in graph.consumer.told if told.stamp > at]
        waited = back.time - arrays[0].time
        graph.consumer.forget()
        after = graph.settled()
        most = max(len(told.ids) for told in graph.consumer.told)
    check_count(most)
    if after.session != before.session:
        raise NotRecoveredError("the session is another one")
    return [
        f"camera gone for {GONE:g} s: {len(last)} arrays meanwhile, {left} objects in the last; named: {faults}",
        f"  all objects {waited:.1f} s after the first array of the new camera, {ids(before, after)}",
    ]


def loop(graph: Graph, options: argparse.Namespace) -> list[str]:
    """A recording over and over: memory, objects and ids."""
    lines: list[str] = []
    medians: list[float] = []
    counts: Counter[int] = Counter()
    rewound = 0
    with graph.start_camera():
        first = graph.settled()
        pid, stamp, known = graph.perception(), first.stamp, set(first.ids)
        for minute in range(1, round(options.minutes) + 1):
            graph.consumer.forget()
            memory: list[float] = []
            end = time.monotonic() + MINUTE
            while time.monotonic() < end:
                graph.consumer.spin(MEMORY_PERIOD)
                memory.append(resident(pid))
            if not graph.consumer.told:
                raise NotRecoveredError(f"nothing was told in minute {minute}")
            for told in graph.consumer.told:
                rewound += told.stamp < stamp
                stamp = told.stamp
                known |= told.ids
            lately = Counter(len(told.ids) for told in graph.consumer.told)
            counts += lately
            medians.append(statistics.median(memory))
            print(
                f"minute {minute:3}: {medians[-1]:7.1f} MiB, {shares(lately)}, highest id {max(known)}",
                flush=True,
            )
        last = graph.settled()
    if graph.perception() != pid or last.session != first.session:
        raise NotRecoveredError("the process was replaced")
    check_count(max(counts))
    if len(known) > OBJECTS * (1 + rewound):
        raise NotRecoveredError(
            f"{len(known)} ids, with {OBJECTS} objects and {rewound} times that time went back"
        )
    lines.append(f"time went back {rewound} times, {len(known)} ids in all; {shares(counts)}")
    if len(medians) > 2:
        growth = f"{medians[-1] / medians[1] - 1.0:+.2%}"
        lines.append(
            f"memory: median of the second minute {medians[1]:.1f} MiB, of the last {medians[-1]:.1f} MiB, {growth}"
        )
    return lines


def shares(counts: Counter[int]) -> str:
    """How many ObjectArrays had so many objects, in words."""
    parts = (f"{count} objects {number / counts.total():.1%}" for count, number in sorted(counts.items()))
    return f"{counts.total()} arrays ({', '.join(parts)})"


def check_count(most: int) -> None:
    """Raise NotRecoveredError if there are more objects than in the scene."""
    if most > OBJECTS:
        raise NotRecoveredError(f"{most} objects were told of, {OBJECTS} are there")


def ids(before: Told, after: Told) -> str:
    """How many ids are still those of before, in words."""
    return f"{len(before.ids & after.ids)} of {len(before.ids)} ids as before, {len(after.ids)} objects"


def spread(seconds: list[float]) -> str:
    """Median and greatest, in words."""
    return f"{statistics.median(seconds):.1f} s (at most {max(seconds):.1f} s)"


#: Every case, by its name.
CASES = {"killed": killed, "stopped": stopped, "gone": gone, "loop": loop, "rewound": loop}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, help="default: all")
    parser.add_argument("--minutes", type=float, default=5.0, help="length of loop and rewound (default: 5)")
    parser.add_argument("--rate", type=float, default=10.0, help="images a second (default: 10)")
    options = parser.parse_args()
    print(f"{OBJECTS} objects at {options.rate:g} Hz, 640x480 with depth, moving camera; {machine()}\n")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder)
        write_recording(frames, OBJECTS, FRAMES, SIZE)
        played = {"frames": frames, "rate": options.rate, "sensor": "depth"}
        recording = [sys.executable, str(Path(__file__).with_name("played_recording.py"))]
        recording += [str(frames), "--rate", str(options.rate)]
        cameras: dict[str, Camera] = {"rewound": lambda: started(recording)}

        def player() -> AbstractContextManager[subprocess.Popen[bytes]]:
            return running("frame_player", played)

        for name in options.cases:
            domain = FIRST_DOMAIN + list(CASES).index(name)
            load = f"load {os.getloadavg()[0]:.1f}"
            try:
                with graph(domain, cameras.get(name, player)) as running_graph:
                    lines = CASES[name](running_graph, options)
            except NotRecoveredError as error:
                failed, lines = True, [f"NOT RECOVERED: {error}"]
            print(f"{name} ({load} before, {os.getloadavg()[0]:.1f} after)", *lines, sep="\n  ", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
