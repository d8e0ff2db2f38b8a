"""The service that writes what the nodes of a process see to a file, on a thread of its own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation

from sam3d_ros.nodes.lifecycle import AutostartNode
from sam3d_ros.nodes.sinks.scene_board import SceneBoard
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.srv import SaveScene


class SceneService:
    """The service `~/save_scene`.

    A file of many meshes takes seconds. It is written beside the executor, one after the other, under a name of its own
    until it is whole.

    Args:
        node: carries it.
        board: what is written.
        folder: the folder that files are written below; asked for at each request.
    """

    def __init__(self, node: AutostartNode, board: SceneBoard, folder: Callable[[], Path]) -> None:
        self._node = node
        self._board = board
        self._folder = folder
        self._answer = node.boundary.guarded_service("save_scene", self._save)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scene writer")
        self._service = node.create_service(SaveScene, "~/save_scene", self._begin)
        # rclpy answers when the callback returns; this one returns the promise of an answer.
        self._send = self._service.send_response
        self._service.send_response = self._send_later

    def close(self) -> None:
        """Withdraw it; what is being written is finished and answered first."""
        self._writer.shutdown()
        self._node.destroy_service(self._service)

    def _begin(self, request: SaveScene.Request, response: SaveScene.Response) -> Future[SaveScene.Response]:
        return self._writer.submit(self._answer, request, response)

    def _send_later(self, answer: Future[SaveScene.Response] | SaveScene.Response, header: Any) -> None:
        if isinstance(answer, Future):
            answer.add_done_callback(lambda made: self._send_response(made.result(), header))
        else:
            self._send_response(answer, header)

    def _send_response(self, response: SaveScene.Response, header: Any) -> None:
        try:
            self._send(response, header)
        except rclpy_implementation.RCLError as error:
            self._node.get_logger().warning(f"save_scene: nobody takes the answer: {error}")

    def _save(self, request: SaveScene.Request, response: SaveScene.Response) -> SaveScene.Response:
        path = path_below(self._folder(), request.path)
        try:
            scene = self._board.scene()
            write_whole(path, scene.write)
        except (ValueError, OSError) as error:
            response.message = str(error)
            return response
        response.success = True
        response.object_count = scene.object_count
        response.message = "; ".join(scene.notes)
        return response


def path_below(folder: Path, name: str) -> Path:
    """The file of a name, which must lie below a folder wherever links lead; the folder is made if it is not there.

    Args:
        folder: the folder.
        name: relative to it, or absolute.

    Raises:
        FaultError: invalid_request: the name does not end in .glb, has `..`, a user who does not exist, or leads
            elsewhere; or the folder cannot be made.
    """
    try:
        given = Path(name).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        inside = folder.resolve(strict=True)
        path = (inside / given).resolve()
    except (ValueError, RuntimeError, OSError) as error:
        raise _refused(name, folder, str(error)) from error
    if ".." in given.parts:
        raise _refused(name, folder, "it has ..")
    if path.suffix != ".glb":
        raise _refused(name, folder, "it does not end in .glb")
    if path == inside or not path.is_relative_to(inside):
        raise _refused(name, folder, f"it leads to {path}")
    return path


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file so that nobody sees a part of it: beside its place, and then renamed.

    Raises:
        as `write` does, or OSError; what was there before stays then.
    """
    unfinished = path.with_name(f".{path.stem[:64]}.{uuid.uuid4().hex}{path.suffix}")
    try:
        write(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def default_scene_folder() -> Path:
    """Where users keep data."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "sam3d_ros" / "scenes"


def _refused(name: str, folder: Path, reason: str) -> FaultError:
    return FaultError(
        Fault.INVALID_REQUEST,
        f"path {name!r} is refused, {reason}: name a .glb file below scene_folder, which is {folder}",
    )
