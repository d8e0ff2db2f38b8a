"""The subscriber in another process: it passes the labels on and times what the graph makes of them.

Player, watcher and the graph under test share few cores, so that all messages stay as they are serialised: bytes in,
the same bytes out, and of an ObjectArray only its head is read.
"""

from __future__ import annotations

import array
import ctypes
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from sam3d_ros.msg import ObjectArray
from sam3d_ros.nodes.lifecycle import quickest_executor
from sam3d_ros.nodes.player_messages import STAMP_LAYOUTS
from sam3d_ros.ros.qos import qos_profile

#: How long the executor waits at a time, seconds.
SPIN_PERIOD = 0.05
#: Where plain CDR holds the stamp of a message that begins with its header: behind the kind of encoding. Alignment
#: counts from there, too.
STAMP_OFFSET = 4
#: Parameters of mallopt(3) and what they are set to, bytes: memory from this size on is mapped for itself, and memory
#: from this size on is given back when it is free at the end of the heap.
MALLOC_OPTIONS = {-3: 32 * 2**20, -1: 256 * 2**20}


@dataclass(frozen=True)
class Arrival:
    """An ObjectArray: when it came and the stamp that it is about, nanoseconds, and how many objects it holds."""

    time: int
    stamp: int
    count: int


class Watcher(Node):
    """Passes labels on without the hidden instance, and times what comes out.

    Attributes:
        hidden: the instance to leave out of the labels, 0 = none.
        instances: those of the first labels.
        shown_at: stamp of the first labels since it was set to None that nothing was hidden from, nanoseconds.
        offered: stamps of all labels, nanoseconds.
        arrivals: every ObjectArray.
        stages: latencies that perception told last, by stage.
    """

    def __init__(self) -> None:
        super().__init__("bench_graph", enable_rosout=False, start_parameter_services=False)
        self.hidden = 0
        self.instances: list[int] = []
        self.shown_at: int | None = None
        self.offered: list[int] = []
        self.arrivals: list[Arrival] = []
        self.stages: dict[str, str] = {}
        keep_freed_memory()
        sensor_data, reliable = qos_profile("sensor_data"), qos_profile("reliable")
        self._labels = self.create_publisher(Image, "labels", sensor_data)
        self.create_subscription(Image, "all_labels", self._pass_on, sensor_data, raw=True)
        self.create_subscription(ObjectArray, "sam3d_objects/objects", self._note, reliable, raw=True)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._read_stages, 10)
        self._executor = quickest_executor()
        self._executor.add_node(self)

    @property
    def count(self) -> int:
        """Objects in the newest ObjectArray."""
        return self.arrivals[-1].count if self.arrivals else 0

    def spin_until(self, condition: Callable[[], bool], patience: float) -> bool:
        """Spin until something holds; whether it does."""
        end = time.monotonic() + patience
        while not condition() and (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, SPIN_PERIOD))
        return condition()

    def spin_for(self, seconds: float) -> None:
        """Spin for some time."""
        self.spin_until(lambda: False, seconds)

    def close(self) -> None:
        """End the node and its context."""
        self._executor.shutdown()
        self.destroy_node()
        rclpy.shutdown()

    def _pass_on(self, labels: bytes) -> None:
        stamp = stamp_of(labels)
        self.offered.append(stamp)
        if not self.instances:
            shown = np.frombuffer(deserialize_message(labels, Image).data, dtype=np.uint16)
            self.instances = [int(i) for i in np.unique(shown) if i]
        if self.hidden:
            self._labels.publish(without_instance(deserialize_message(labels, Image), self.hidden))
            return
        if self.shown_at is None:
            self.shown_at = stamp
        self._labels.publish(labels)

    def _note(self, objects: bytes) -> None:
        self.arrivals.append(Arrival(time.time_ns(), stamp_of(objects), count_of(objects)))

    def _read_stages(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.endswith(": latency"):
                self.stages.update((pair.key, pair.value) for pair in status.values)


def keep_freed_memory() -> None:
    """Let the same pages serve label image after label image: glibc would fault them in anew for each."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for option, value in MALLOC_OPTIONS.items():
            library.mallopt(option, value)


def stamp_of(message: bytes) -> int:
    """The stamp of a serialised message that begins with its header, nanoseconds."""
    seconds, nanoseconds = STAMP_LAYOUTS[message[:2]].unpack_from(message, STAMP_OFFSET)
    return seconds * 10**9 + nanoseconds


def count_of(message: bytes) -> int:
    """The length of the sequence behind the header of a serialised message."""
    order = "<" if message[1:2] == b"\x01" else ">"
    (length,) = struct.unpack_from(f"{order}I", message, STAMP_OFFSET + 8)  # of frame_id, with its end
    place = 12 + length
    (count,) = struct.unpack_from(f"{order}I", message, STAMP_OFFSET + place + -place % 4)
    return int(count)


def without_instance(message: Image, instance: int) -> Image:
    """mono16 labels, changed in place, with zero where one instance was."""
    labels = np.frombuffer(message.data, dtype=np.uint16)
    message.data = array.array("B", np.where(labels == instance, 0, labels).astype(np.uint16).tobytes())
    return message
