"""Where the nodes of one process put what they saw last."""

from __future__ import annotations

import threading
from collections import deque

from sam3d_ros.perception.scenes.joint_scene import MOMENT, Scene, SeenObjects, SeenPeople, joined

#: No more images are remembered than this, however long people take: half a minute of a fast camera.
LONGEST_MEMORY = 1000


class SceneBoard:
    """What the nodes of a process saw last; each shows its own, each can ask for the scene of all.

    Objects are remembered for as long as the people of the same image may still come: posing takes a while, and things
    move on meanwhile. May be used from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: deque[SeenObjects] = deque(maxlen=LONGEST_MEMORY)
        self._people: SeenPeople | None = None
        # People of no earlier image will come any more, nanoseconds; None while nobody looks for people.
        self._awaited_from: int | None = None

    def show_objects(self, seen: SeenObjects | None) -> None:
        """Put up the objects of an image; None takes all down."""
        with self._lock:
            if seen is None:
                self._objects.clear()
                return
            if self._objects and seen.stamp < self._objects[-1].stamp:
                # The clock jumped back, and the people of that time are still to come.
                self._objects.clear()
                self._awaited_from = None if self._awaited_from is None else 0
            self._objects.append(seen)
            self._forget()

    def await_people(self) -> None:
        """Somebody looks for people from now on."""
        with self._lock:
            self._awaited_from = 0

    def show_people(self, seen: SeenPeople | None) -> None:
        """Put up the people of an image; None takes them down, and nobody looks for people any more."""
        with self._lock:
            self._people = seen
            self._awaited_from = None if seen is None else seen.frame.stamp
            self._forget()

    def scene(self) -> Scene:
        """What belongs together at the moment; raises as `joined` does."""
        with self._lock:
            objects, people = tuple(self._objects), self._people
        return joined(objects, people)

    def _forget(self) -> None:
        """Drop the images that no people will come for, but never the newest."""
        while len(self._objects) > 1 and (
            self._awaited_from is None or self._objects[0].stamp < self._awaited_from - MOMENT
        ):
            self._objects.popleft()


class BoardedObjects:
    """Puts objects up on a board.

    Args:
        board: the board.
    """

    def __init__(self, board: SceneBoard) -> None:
        self._board = board

    def show(self, moment: SeenObjects) -> None:
        self._board.show_objects(moment)

    def refresh(self) -> None:
        """The board is asked when a scene is."""

    def clear(self, emptied: SeenObjects) -> None:
        self._board.show_objects(None)

    def close(self) -> None:
        """The board belongs to the process."""


class BoardedPeople:
    """Puts people up on a board.

    Args:
        board: the board.
    """

    def __init__(self, board: SceneBoard) -> None:
        self._board = board

    def show(self, moment: SeenPeople) -> None:
        self._board.show_people(moment)

    def refresh(self) -> None:
        """The board is asked when a scene is."""

    def clear(self, emptied: SeenPeople) -> None:
        self._board.show_people(None)

    def close(self) -> None:
        """The board belongs to the process."""
