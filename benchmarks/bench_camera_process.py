"""Share of a camera's images that the graph uses when the camera's process does not have the Fast DDS profile.

`python benchmarks/bench_camera_process.py [--seconds 10] [--rate 10]`. The ordinary case: the driver runs in a terminal
of its own, where nobody has exported anything. Each row is a run of player and graph: 640x480 colour, depth and labels.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.signals import SignalHandlerOptions
from running_graph import PROFILE_VARIABLES, Installation, machine, started, use_domain
from sensor_msgs.msg import CameraInfo

from sam3d_ros.msg import ObjectArray
from sam3d_ros.nodes.lifecycle import quickest_executor
from sam3d_ros.ros.faults import Fault
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import nanoseconds

#: How long the graph may take to find its first object, and to name what is lost, seconds.
START_PATIENCE = 40.0
DOMAINS = itertools.count(60)

#: Transports that a process of ours may have, as Fast DDS profiles.
TRANSPORTS = {
    "UDP alone": "<type>UDPv4</type>",
    "UDP, 4 MiB buffer": "<type>UDPv4</type><receiveBufferSize>4194304</receiveBufferSize>",
    "memory, default size": "<type>SHM</type>",
    "memory, long queue": "<type>SHM</type><segment_size>67108864</segment_size>"
    "<maxMessageSize>16777216</maxMessageSize><port_queue_capacity>4096</port_queue_capacity>",
}
PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com"><profiles>
<transport_descriptors><transport_descriptor><transport_id>only</transport_id>{transport}</transport_descriptor>
<transport_descriptor><transport_id>udp</transport_id><type>UDPv4</type></transport_descriptor></transport_descriptors>
<participant profile_name="tried" is_default_profile="true"><rtps>
<userTransports><transport_id>only</transport_id>{also}</userTransports>
<useBuiltinTransports>false</useBuiltinTransports></rtps></participant>
</profiles></dds>
"""


@dataclass(frozen=True)
class Case:
    """A camera and a graph.

    Attributes:
        camera: quality of service of what the camera publishes.
        inputs: that which the graph asks for.
        profiled: whether the camera has the profile, too.
        profile: that of the graph: the one of the package, none, or one of `TRANSPORTS`.
    """

    camera: str
    inputs: str
    profiled: bool = False
    profile: str = "fastdds.xml"

    def __str__(self) -> str:
        export = "fastdds.xml" if self.profiled else "none"
        return f"{self.camera:<12}{export:<14}{self.inputs:<13}{self.profile:<22}"


CASES = (
    Case("sensor_data", "auto"),
    Case("sensor_data", "auto", profiled=True),
    Case("reliable", "sensor_data"),
    Case("reliable", "auto"),
    Case("reliable", "auto", profiled=True),
    Case("reliable", "auto", profile="none"),
    *(Case("reliable", "auto", profile=name) for name in TRANSPORTS),
    *(Case("sensor_data", "auto", profile=name) for name in TRANSPORTS),
)


class Listener:
    """Counts what is played and what becomes objects.

    Attributes:
        played, used: stamps of camera_infos, which are small and always come, and of ObjectArrays.
        began, named: when the camera was first heard, and when losses were named first, seconds of
            `time.monotonic`; None = not yet.
    """

    def __init__(self) -> None:
        self.played: set[int] = set()
        self.used: set[int] = set()
        self.began: float | None = None
        self.named: float | None = None
        self._node = rclpy.create_node("bench_camera_process")
        self._node.create_subscription(
            CameraInfo,
            "camera_info",
            self._hear,
            qos_profile("sensor_data"),
        )
        self._node.create_subscription(
            ObjectArray,
            "sam3d_objects/objects",
            lambda m: self.used.add(nanoseconds(m.header.stamp)),
            qos_profile("reliable"),
        )
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._read, 10)
        self._executor = quickest_executor()
        self._executor.add_node(self._node)

    def spin(self, seconds: float, *, until_used: bool = False) -> None:
        """Listen for some time, or until something is used."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (until_used and self.used):
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        """End the node."""
        self._executor.shutdown()
        self._node.destroy_node()

    def _hear(self, message: CameraInfo) -> None:
        self.played.add(nanoseconds(message.header.stamp))
        if self.began is None:
            self.began = time.monotonic()

    def _read(self, message: DiagnosticArray) -> None:
        names = {status.message for status in message.status if status.name.endswith(": faults")}
        if self.named is None and any(Fault.LOST_MESSAGES.label in name for name in names):
            self.named = time.monotonic()


def measured(case: Case, rate: float, seconds: float) -> tuple[int, int, float | None]:
    """Images played, images used, and how many seconds after the camera was first heard losses were named."""
    use_domain(next(DOMAINS))
    this = Installation.this()
    bare = {name: value for name, value in os.environ.items() if name not in PROFILE_VARIABLES}
    exported = {**bare, **dict.fromkeys(PROFILE_VARIABLES, str(this.share / "config" / "fastdds.xml"))}
    camera = [*this.command("frame_player"), "--ros-args", "--log-level", "warn"]
    camera += ["-p", f"rate:={rate}", "-p", f"output_qos:={case.camera}", "-p", "sensor:=depth"]
    graph = [
        *this.command("perception"),
        "--ros-args",
        "--log-level",
        "error",
        "-p",
        f"input_qos:={case.inputs}",
    ]
    with profile_of(case.profile) as variables, started(graph, {**bare, **this.environment, **variables}):
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        listener = Listener()
        listener.spin(5.0)  # the graph is there before the camera
        with started(camera, exported if case.profiled else bare):
            listener.spin(START_PATIENCE, until_used=True)
            listener.spin(3.0)
            listener.played.clear()
            listener.used.clear()
            listener.spin(seconds)
            # The last ones may be under way.
            played = sorted(listener.played)[:-2]
            listener.spin(0.5)
        used = len(listener.used & set(played))
        named = None if listener.named is None or listener.began is None else listener.named - listener.began
        listener.close()
        rclpy.shutdown()
    return len(played), used, named


@contextmanager
def profile_of(name: str) -> Iterator[dict[str, str]]:
    """Variables that give a process a profile."""
    if name == "none":
        yield {}
    elif name == "fastdds.xml":
        yield dict.fromkeys(PROFILE_VARIABLES, str(Installation.this().share / "config" / name))
    else:
        also = "" if "UDP" in name else "<transport_id>udp</transport_id>"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "profile.xml"
            path.write_text(PROFILE.format(transport=TRANSPORTS[name], also=also))
            yield dict.fromkeys(PROFILE_VARIABLES, str(path))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each run (default: 10)")
    parser.add_argument("--rate", type=float, default=10.0, help="images a second (default: 10)")
    options = parser.parse_args()
    print(f"640x480 colour, depth and labels at {options.rate:g} Hz; {machine()}\n")
    print(
        f"{'camera':<12}{'its profile':<14}{'input_qos':<13}{'our profile':<22}{'used':>9}{'share':>8}  losses named"
    )
    for case in CASES:
        played, used, named = measured(case, options.rate, options.seconds)
        told = "no" if named is None else f"{named:.1f} s after its first"
        print(f"{case}{f'{used}/{played}':>9}{used / max(played, 1):>8.1%}  {told}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
