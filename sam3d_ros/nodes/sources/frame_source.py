"""The subscriptions of a process, each message taken, decoded and point-mapped once, however many pipelines read it."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from tf2_ros import Buffer, TransformListener
from vision_msgs.msg import Detection2DArray, LabelInfo

from sam3d_ros.msg import BodyKeypoints2DArray
from sam3d_ros.nodes.sources.inlet import Inlet, type_name
from sam3d_ros.nodes.sources.input_settings import InputSettings
from sam3d_ros.ros.decoding import Decoding
from sam3d_ros.ros.diagnostics import RateMeter
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.frame_assembler import Input
from sam3d_ros.ros.frame_builder import FrameBuilderConfig
from sam3d_ros.ros.qos import AUTO
from sam3d_ros.ros.stamps import nanoseconds
from sam3d_ros.ros.transforms import BufferLookup

if TYPE_CHECKING:
    from sam3d_ros.nodes.sources.frame_reader import FrameReader

#: A depth image that cannot be used keeps the other range sensor subscribed for so long, seconds.
DEPTH_DOUBT = 5.0


@dataclass(frozen=True)
class LossWindow:
    """When images count as lost.

    Attributes:
        seconds: looked back on, at least.
        calibrations: at least so many came in that time.
        share: and fewer images than this share of them.
        settled: whether images must have come before: their discovery may take longer than that of calibrations.
    """

    seconds: float
    calibrations: int
    share: float
    settled: bool


#: Heavy losses show at once, small ones in the long run: one image more or less may be on its way.
LOSS_WINDOWS = (
    LossWindow(1.0, calibrations=5, share=0.7, settled=False),
    LossWindow(10.0, calibrations=40, share=0.95, settled=True),
)
#: What names the instances of an input: the topic of its class names.
_NAMES = {Input.LABELS: "label_info", Input.DETECTIONS: "detections/label_info"}


@dataclass(frozen=True)
class SourceKey:
    """What nodes must agree in to read one source.

    Attributes:
        topics: the resolved names of all inputs, and of the class names in them.
        settings: how they are received.
        frames: from messages to frames.
    """

    topics: tuple[str, ...]
    settings: InputSettings
    frames: FrameBuilderConfig


class FrameSource:
    """Takes messages in for its readers; see `FrameReader` for what becomes of them.

    A subscription is carried by the node of a reader that needs it; when that node stops reading, by that of another
    one. Callbacks only hand messages on: decoding belongs to the threads of the readers. All calls but those of `names`
    and `decoding` come from the thread that spins the nodes.

    Args:
        key: what its readers agree in.

    Attributes:
        key: as given.
        lookup: where frames are relative to each other.
        decoding: messages as arrays, made once.
        names: input -> (id -> class name), as far as they are told.
        meters: rate and age of each input that was ever read.
        taken: messages by input since the start.
    """

    def __init__(self, key: SourceKey) -> None:
        self.key = key
        self.decoding = Decoding()
        self.names: dict[Input, Mapping[int, str]] = {}
        self.meters: dict[Input, RateMeter] = {}
        self.taken: Counter[Input] = Counter()
        self._buffer = Buffer()
        self.lookup = BufferLookup(self._buffer, key.settings.tf_timeout)
        self._attached: list[FrameReader] = []
        self._reading: list[FrameReader] = []
        self._takers: Mapping[Input, Sequence[FrameReader]] = {}
        self._inlets: dict[Input, Inlet] = {}
        self._named: dict[Input, Inlet] = {}
        self._taken_before: deque[tuple[float, Counter[Input]]] = deque()
        self._listener: tuple[Node, TransformListener] | None = None

    def attach(self, reader: FrameReader) -> None:
        """A reader may begin soon: listen to /tf."""
        self._attached.append(reader)
        if self._listener is None:
            self._listener = (reader.node, TransformListener(self._buffer, reader.node))

    def detach(self, reader: FrameReader) -> None:
        """A reader is no more."""
        self.close(reader)
        self._attached.remove(reader)
        if self._listener is not None and self._listener[0] is reader.node:
            self._listener[1].unregister()
            self._listener = None
            if self._attached:
                node = self._attached[0].node
                self._listener = (node, TransformListener(self._buffer, node))

    def open(self, reader: FrameReader) -> None:
        """Begin to hand messages to a reader; raises as `Inlet` does, and hands it nothing then."""
        self._reading.append(reader)
        self.decoding.readers = len(self._reading)
        try:
            self.update()
        except FaultError:
            self.close(reader)
            raise

    def close(self, reader: FrameReader) -> None:
        """Hand it nothing more."""
        if reader in self._reading:
            self._reading.remove(reader)
            self.decoding.readers = len(self._reading)
            self.update()

    def update(self) -> None:
        """Subscribe to what a reader needs, and to nothing else."""
        needs = {reader: reader.needs() for reader in self._reading}
        self._takers = {kind: [reader for reader in needs if kind in needs[reader]] for kind in Input}
        wanted = {kind: readers[0].node for kind, readers in self._takers.items() if readers}
        self._close_unwanted(self._inlets, wanted)
        self._close_unwanted(self._named, wanted)
        for kind in wanted.keys() - self._inlets.keys():
            message_type, topic = self._topic(kind, wanted[kind])
            self.meters.setdefault(kind, RateMeter())
            take, quality = partial(self._take, kind), self.key.settings.input_qos
            self._inlets[kind] = Inlet(wanted[kind], message_type, topic, take, quality)
        for kind in (wanted.keys() & _NAMES.keys()) - self._named.keys():
            take = partial(self._take_names, kind)
            # Names are told once: those from before this node began have to come, too.
            self._named[kind] = Inlet(wanted[kind], LabelInfo, _NAMES[kind], take, AUTO, unknown="latched")

    def follow_publishers(self) -> list[tuple[Fault, str]]:
        """Ask for what publishers offer now; called now and then.

        Returns:
            What keeps messages from coming: wrong_type, incompatible_qos, lost_messages.
        """
        inlets = (*self._inlets.values(), *self._named.values())
        for inlet in inlets:
            inlet.follow()
        found = [(Fault.WRONG_TYPE, text) for inlet in inlets for text in inlet.foreign_types()]
        found += [(Fault.INCOMPATIBLE_QOS, text) for inlet in inlets for text in inlet.incompatibilities()]
        return found + [(Fault.LOST_MESSAGES, text) for text in self._losses()]

    def count_publishers(self, kind: Input) -> int:
        """How many publish an input as what is read; none of one that this source does not read."""
        if not self._reading:
            return 0
        node = self._reading[0].node
        message_type, topic = self._topic(kind, node)
        infos = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
        return sum(info.topic_type == type_name(message_type) for info in infos)

    def topic(self, kind: Input, node: Node) -> str:
        """The resolved name of an input."""
        return node.resolve_topic_name(self._topic(kind, node)[1])

    def is_depth_doubtful(self) -> bool:
        """Whether depth images that could not be used came lately."""
        return time.monotonic() - self.decoding.depth_failed_at < DEPTH_DOUBT

    def _close_unwanted(self, inlets: dict[Input, Inlet], wanted: Mapping[Input, Node]) -> None:
        for kind, inlet in list(inlets.items()):
            if kind not in wanted or all(inlet.node is not reader.node for reader in self._reading):
                inlet.close()
                del inlets[kind]

    def _losses(self) -> list[str]:
        """Images of which the calibration came, and they did not: the small message arrives, the large one is lost."""
        now = time.monotonic()
        self._taken_before.append((now, self.taken.copy()))
        longest = max(window.seconds for window in LOSS_WINDOWS)
        while len(self._taken_before) > 1 and now - self._taken_before[1][0] >= longest:
            self._taken_before.popleft()
        pairs = ((Input.CAMERA_INFO, Input.IMAGE), (Input.DEPTH_INFO, Input.DEPTH))
        read = [pair for pair in pairs if self._inlets.keys() >= set(pair)]
        losses = (self._lost_within(window, now, *pair) for pair in read for window in LOSS_WINDOWS)
        return [loss for loss in losses if loss]

    def _lost_within(self, window: LossWindow, now: float, small: Input, large: Input) -> str:
        """What was lost of a large input in a window that ends now; empty if nothing was."""
        began = [entry for entry in self._taken_before if now - entry[0] >= window.seconds]
        if not began:
            return ""
        since, before = began[-1]
        if window.settled and not before[large]:
            return ""
        few, many = (self.taken[kind] - before[kind] for kind in (large, small))
        if many < window.calibrations or few >= window.share * many:
            return ""
        return (
            f"{few} of {self._inlets[large].topic} came in {now - since:.1f} s, and {many} of "
            f"{self._inlets[small].topic}, which are small"
        )

    def _topic(self, kind: Input, node: Node) -> tuple[Any, str]:
        """Type and name of an input."""
        settings = self.key.settings
        # image_transport names: a transport is a sibling of the topic that the base name is remapped to.
        transports = {
            Input.IMAGE: settings.image_transport,
            Input.LABELS: settings.labels_transport,
            Input.DEPTH: settings.depth_transport,
        }
        if (transport := transports.get(kind, "raw")) != "raw":
            topic = node.resolve_topic_name(kind.value)
            # Who names the sibling itself means it, and not a sibling of it.
            return CompressedImage, topic if topic.endswith(f"/{transport}") else f"{topic}/{transport}"
        return _TYPES[kind], kind.value

    def _take(self, kind: Input, message: Any) -> None:
        self.meters[kind].tick()
        self.taken[kind] += 1
        stamp = nanoseconds(message.header.stamp)
        jumps = [reader.assembler.add(kind, stamp, message) for reader in self._takers.get(kind, ())]
        if any(jumps):
            # Time started anew: transforms from before would answer for stamps that come again.
            self._buffer.clear()

    def _take_names(self, kind: Input, message: LabelInfo) -> None:
        self.names[kind] = MappingProxyType({entry.class_id: entry.class_name for entry in message.class_map})


_TYPES: Mapping[Input, Any] = MappingProxyType(
    {
        Input.IMAGE: Image,
        Input.LABELS: Image,
        Input.CAMERA_INFO: CameraInfo,
        Input.DEPTH: Image,
        Input.DEPTH_INFO: CameraInfo,
        Input.POINTS: PointCloud2,
        Input.DETECTIONS: Detection2DArray,
        Input.KEYPOINTS: BodyKeypoints2DArray,
    }
)


class FrameSources:
    """The sources of a process: one, as long as its nodes agree in what they read and how."""

    def __init__(self) -> None:
        self._sources: dict[SourceKey, FrameSource] = {}

    def source(self, node: Node, settings: InputSettings, frames: FrameBuilderConfig) -> FrameSource:
        """The source that a node reads."""
        names = (*(kind.value for kind in Input), *_NAMES.values())
        topics = tuple(node.resolve_topic_name(name) for name in names)
        key = SourceKey(topics, settings, frames)
        if key not in self._sources:
            self._sources[key] = FrameSource(key)
        return self._sources[key]
