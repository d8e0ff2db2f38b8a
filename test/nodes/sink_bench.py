"""Sinks on an active node of their own, what they can be shown, and how often they make something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pkgutil import resolve_name
from typing import Any, Generic, TypeVar

import numpy as np
import pytest
import rclpy
from analytic_bodies import labelled_frame, standing_body
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from visualization_msgs.msg import Marker, MarkerArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.splats import Splats
from sam3d_ros.nodes.sinks.sink import Sink
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.people.pipeline import TrackedBody
from sam3d_ros.perception.scenes.joint_scene import SeenObjects, SeenPeople
from sam3d_ros.perception.tracking.tracks import TrackedObject

M = TypeVar("M")

SECOND = 1_000_000_000
NODE = "/stage"
#: Does not fit 63 bits.
SESSION = 2**64 - 3
TETRAHEDRON = Mesh(
    np.array([(0, 0, 0), (0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5)], np.float32),
    np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]),
    np.full((4, 3), 200, np.uint8),
)
SPLATS = Splats(*(np.ones((2, columns), np.float32) for columns in (3, 3, 3, 4, 1)))


class Stage:
    """An active node with sinks, which nobody spins: publishers need no spinning.

    Args:
        context: of the node.
        make: makes the sinks of a node.
        namespace: of the node.

    Attributes:
        node: the node.
        sinks: as made.
    """

    def __init__(
        self,
        context: rclpy.Context,
        make: Callable[[LifecycleNode], Sequence[Sink[Any]]],
        namespace: str = "",
    ) -> None:
        self.node = LifecycleNode(
            NODE[1:], context=context, namespace=namespace, enable_communication_interface=False
        )
        self.sinks = make(self.node)
        self.node.trigger_configure()
        self.node.trigger_activate()

    def show(self, moment: Any) -> None:
        """Show a moment to all of them, and let them look who listens."""
        for sink in self.sinks:
            sink.show(moment)
        self.refresh()

    def refresh(self) -> None:
        """Let them look who has begun to listen."""
        for sink in self.sinks:
            sink.refresh()

    def is_heard(self, topic: str) -> bool:
        """Whether somebody subscribes to a topic of the stage."""
        return self.node.count_subscribers(f"{NODE}/{topic}") > 0

    def clear(self, moment: Any) -> None:
        """Have everything taken back; the moment is the last one that was shown."""
        for sink in self.sinks:
            sink.clear(moment.emptied())

    def close(self) -> None:
        """End them and the node."""
        for sink in self.sinks:
            sink.close()
        self.node.destroy_node()


class Made:
    """How often the functions were called that make messages, by their names.

    Args:
        monkeypatch: puts counting ones in their places.
        module: where the sinks look for them.
        names: of functions, or of methods of a class.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: str, *names: str) -> None:
        self.counts: Counter[str] = Counter()
        for name in names:
            self._count(monkeypatch, module, name)

    def by(self, work: Callable[[], object]) -> dict[str, int]:
        """What some work makes."""
        before = self.counts.copy()
        work()
        return dict(self.counts - before)

    def _count(self, monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> None:
        make = resolve_name(f"{module}:{name}")

        def counting(*arguments: Any, **options: Any) -> Any:
            self.counts[name] += 1
            return make(*arguments, **options)

        monkeypatch.setattr(f"{module}.{name}", counting)


class Ear(Generic[M]):
    """A subscription to a topic of the stage that can be given up.

    Args:
        probe: carries it.
        message_type, topic, qos: as for a subscription; the topic is below the node of the stage.

    Attributes:
        heard: the messages.
    """

    def __init__(self, probe: Any, message_type: type[M], topic: str, qos: QoSProfile) -> None:
        self.heard: list[M] = []
        self._probe = probe
        name = topic if topic.startswith("/") else f"{NODE}/{topic}"
        self._subscription = probe.node.create_subscription(message_type, name, self.heard.append, qos)

    def leave(self) -> None:
        """Listen no more; a second time without harm."""
        self._probe.do(lambda: self._probe.node.destroy_subscription(self._subscription))


def things(
    stamp: int,
    ids: Iterable[int],
    *,
    versions: dict[int, int] | None = None,
    splats: bool = False,
    rejected: Collection[int] = (),
) -> SeenObjects:
    """Objects in a row; their meshes are a second older than the image."""
    objects = []
    for track_id in ids:
        state = VerdictState.REJECTED if track_id in rejected else VerdictState.ACCEPTED
        verdict = Verdict(state, (), 0.9, 0.002, 0.95, 500, ScaleSource.DEPTH)
        pose = Similarity(translation=np.array([track_id, 0.0, 2.0]), scale=np.full(3, 0.1))
        estimate = ObjectEstimate(
            track_id, "mug", TETRAHEDRON, pose, np.eye(6), verdict, splats=SPLATS if splats else None
        )
        version = (versions or {}).get(track_id, 1)
        objects.append(TrackedObject(track_id, version, estimate, pose, stamp, stamp - SECOND))
    return SeenObjects(stamp, "camera", False, "camera", True, tuple(objects), SESSION)


def people(stamp: int, ids: Iterable[int], alive: Iterable[int] = ()) -> SeenPeople:
    """People in one place; those who are alive beside them are out of sight."""
    frame = labelled_frame(stamp, np.zeros((4, 4)), {})
    estimate = standing_body(1)
    bodies = tuple(TrackedBody(i, 1, estimate, Similarity(), estimate.keypoints) for i in ids)
    return SeenPeople(frame, "camera", False, bodies, frozenset({*ids, *alive}), SESSION)


def shown(messages: Sequence[MarkerArray]) -> set[tuple[str, int]]:
    """The markers that a viewer has who got these messages."""
    present: set[tuple[str, int]] = set()
    for message in list(messages):
        for marker in message.markers:
            key = (marker.ns, marker.id)
            (present.discard if marker.action == Marker.DELETE else present.add)(key)
    return present
