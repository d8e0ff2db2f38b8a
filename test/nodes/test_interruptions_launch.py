"""Processes that are killed, stopped and gone for a while: the graph is back when they are, and consumers can tell."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import launch_pytest
import numpy as np
import pytest
from launch import LaunchDescription
from launch.actions import RegisterEventHandler
from launch.event_handlers import OnProcessStart
from perception_graph import perception_graph, write_frame

from sam3d_ros.msg import ObjectArray, ObjectMesh
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import nanoseconds

RELIABLE, LATCHED = qos_profile("reliable"), qos_profile("latched", depth=100)
#: How long a process is stopped, seconds: longer than it takes to delete a track that is not seen.
PAUSE = 4.0
#: Process ids by executable, the newest last.
STARTED: dict[str, list[int]] = {}


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A box before a wall."""
    labels = np.zeros((120, 160), np.uint8)
    labels[40:90, 50:110] = 1
    return write_frame(tmp_path_factory.mktemp("frames") / "box", labels, depths=(0.8, 1.2), focal=150.0)


@launch_pytest.fixture(scope="module")
def graph(own_domain: None, frames: Path) -> LaunchDescription:
    """The launch file with respawn, and a camera that sees the box."""

    def note(event: Any, _context: Any) -> None:
        STARTED.setdefault(event.process_name.split("-")[0], []).append(event.pid)

    graph = perception_graph(frames, 10.0, {"sam3d_respawn": "true", "sam3d_reconstructor": "geometric"})
    return LaunchDescription([RegisterEventHandler(OnProcessStart(on_start=note)), *graph.entities])


class Heard:
    """What consumers hear."""

    def __init__(self, probe: Any) -> None:
        self.objects: list[ObjectArray] = probe.hear(ObjectArray, "/sam3d_objects/objects", RELIABLE)
        self.meshes: list[ObjectMesh] = probe.hear(ObjectMesh, "/sam3d_objects/meshes", LATCHED)

    def newer(self, stamp: int) -> ObjectArray | None:
        """The newest ObjectArray with an object, if it is of an image after a stamp."""
        found = [m for m in list(self.objects) if m.objects and nanoseconds(m.header.stamp) > stamp]
        return found[-1] if found else None


@pytest.fixture(scope="module")
def heard(probe: Any) -> Heard:
    return Heard(probe)


@pytest.mark.launch(fixture=graph)
def test_a_killed_process_comes_back_and_consumers_see_another_session(heard: Heard, wait_for: Any) -> None:
    before = wait_for(lambda: heard.newer(0))
    assert before and before.session
    assert wait_for(lambda: any(mesh.session == before.session for mesh in list(heard.meshes)))
    os.kill(STARTED["perception"][-1], signal.SIGKILL)
    began = time.monotonic()

    def back() -> ObjectArray | None:
        newest = heard.newer(nanoseconds(before.header.stamp))
        return newest if newest is not None and newest.session != before.session else None

    again = wait_for(back)
    assert again, "no object came after the process was killed"
    print(f"back after {time.monotonic() - began:.1f} s")
    assert len(STARTED["perception"]) >= 2
    mine = again.objects[0]
    assert wait_for(
        lambda: any(
            (mesh.session, mesh.id, mesh.version) == (again.session, mine.id, mine.mesh_version)
            for mesh in list(heard.meshes)
        )
    )


@pytest.mark.launch(fixture=graph)
@pytest.mark.parametrize("executable", ["perception", "frame_player"])
def test_a_stopped_process_goes_on_where_it_was(heard: Heard, wait_for: Any, executable: str) -> None:
    before = wait_for(lambda: heard.newer(0))
    assert before
    started = len(STARTED[executable])
    pid = STARTED[executable][-1]
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(PAUSE)
        stopped = time.time_ns()
    finally:
        os.kill(pid, signal.SIGCONT)
    after = wait_for(lambda: heard.newer(stopped))
    assert after, f"no object came after {executable} had been stopped"
    assert after.session == heard.newer(0).session
    # Nothing of before stands beside it.
    assert wait_for(lambda: len(heard.newer(stopped).objects) == 1)
    assert len(STARTED[executable]) == started


@pytest.mark.launch(fixture=graph)
def test_another_camera_takes_the_place_of_one_that_has_ended(
    heard: Heard, wait_for: Any, run: Any, frames: Path
) -> None:
    before = wait_for(lambda: heard.newer(0))
    assert before
    os.kill(STARTED["frame_player"][-1], signal.SIGKILL)
    time.sleep(PAUSE)
    ended = time.time_ns()
    assert heard.newer(ended) is None
    camera = run("frame_player", "--ros-args", "-p", f"frames:={frames}", "-p", "rate:=10.0")
    after = wait_for(lambda: heard.newer(ended))
    assert after, camera.log.read_text()
    assert after.session == before.session
    # What the first camera saw does not stand beside it.
    assert wait_for(lambda: len(heard.newer(ended).objects) == 1)
    assert camera.stop() == 0, camera.log.read_text()
