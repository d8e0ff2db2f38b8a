"""A process of nodes as `run_nodes` has it: one thread spins all of them, and only that thread may destroy entities."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node

from sam3d_ros.nodes.lifecycle import SPIN_PERIOD

try:
    from rclpy.experimental import EventsExecutor
except ImportError:  # rclpy before 7.1.5
    EventsExecutor = SingleThreadedExecutor

T = TypeVar("T")

#: The executors that a process may have, depending on its rclpy.
EXECUTORS: dict[str, Callable[..., Executor]] = {"classic": SingleThreadedExecutor, "events": EventsExecutor}

#: How long that thread may be busy with other things, seconds.
PATIENCE = 30.0


class SpunNodes:
    """Nodes in a context of their own.

    Args:
        executor: a name of `EXECUTORS`.

    Attributes:
        context: theirs.
    """

    def __init__(self, executor: str) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self._executor = EXECUTORS[executor](context=self.context)
        self._nodes: list[Node] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def create(self, name: str, **options: Any) -> Node:
        """A new node."""
        made = rclpy.create_node(name, context=self.context, **options)
        self._nodes.append(made)
        self.do(lambda: self._executor.add_node(made))
        return made

    def destroy(self, node: Node) -> None:
        """End a node."""
        self._nodes.remove(node)

        def end() -> None:
            self._executor.remove_node(node)
            node.destroy_node()

        self.do(end)

    def do(self, work: Callable[[], T]) -> T:
        """Have something done by the thread that spins; what it gives."""
        answers: list[T] = []
        done = threading.Event()

        def run() -> None:
            try:
                answers.append(work())
            finally:
                done.set()

        task = self._executor.create_task(run)
        assert done.wait(PATIENCE), "the executor is held up, or its thread has died"
        if not answers:
            raise RuntimeError("what was to be done failed") from task.exception()
        return answers[0]

    def close(self) -> None:
        """End all nodes and the context."""
        for node in list(self._nodes):
            self.destroy(node)
        self._executor.create_task(self._closing.set)
        self._thread.join()
        self._executor.shutdown()
        rclpy.shutdown(context=self.context)

    def _spin(self) -> None:
        while not self._closing.is_set():
            self._executor.spin_once(timeout_sec=SPIN_PERIOD)
