"""Messages as arrays, each made once however many ask."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, TypeVar

from sam3d_ros.ros.pace import MOST_WAITING

T = TypeVar("T")

#: What is decoded.
IMAGE, LABELS, POINT_MAP = "images decoded", "labels decoded", "point maps made"
#: Frames that several readers may be apart: as many as one of them may have waiting.
_FRAMES_APART = MOST_WAITING


class Decoding:
    """Remembers what was made of the last messages, as long as there is more than one who may ask.

    Attributes:
        depth_failed_at: when a depth image last could not be used, seconds of `time.monotonic`.
    """

    def __init__(self) -> None:
        self.depth_failed_at = float("-inf")
        # Whoever asks for what is being made waits for it, which may take as long as a transform does to come. The
        # other lock is held for moments: the thread that takes transforms in asks for `counts`.
        self._making, self._lock = threading.Lock(), threading.Lock()
        self._readers = 1
        self._made: dict[str, deque[tuple[tuple[Any, ...], Any]]] = {}
        self._counts: Counter[str] = Counter()

    @property
    def readers(self) -> int:
        """How many pipelines ask; with one alone nothing is kept."""
        return self._readers

    @readers.setter
    def readers(self, count: int) -> None:
        with self._lock:
            self._readers = count
            if count < 2:
                self._made.clear()

    def once(self, kind: str, messages: tuple[Any, ...], make: Callable[[], T]) -> T:
        """What `make` gives for these very messages, or gave before; an exception is not remembered."""
        with self._making:
            with self._lock:
                for before, made in self._made.get(kind, ()):
                    if all(a is b for a, b in zip(before, messages, strict=True)):
                        return made
                self._counts[kind] += 1
            made = make()
            with self._lock:
                if self._readers > 1:
                    self._made.setdefault(kind, deque(maxlen=_FRAMES_APART)).append((messages, made))
            return made

    def counts(self) -> dict[str, int]:
        """How much was made since the start, by kind."""
        with self._lock:
            return dict(self._counts)
