"""What the way of frames leaves behind: nothing that waits for the collector of cycles.

The collector counts objects, not megabytes: a map of free space in a cycle stays for minutes.
"""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.pipeline import ObjectPipeline
from sam3d_ros.perception.reconstructor import Failed
from sam3d_ros.reconstruction.reconstructors import make_reconstructor
from sam3d_ros.simulation.frames import frame_from_depth
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import random_scene
from sam3d_ros.simulation.sensors import DepthSensor
from sam3d_ros.simulation.trajectories import arc

SECOND = 1_000_000_000


def swing(count: int) -> list[Frame]:
    """Frames of a camera that swings around five objects."""
    random = np.random.default_rng(3)
    scene = random_scene(3, 5)
    camera = Camera.from_field_of_view(320, 240, np.deg2rad(58))
    frames = []
    for index, world_from_camera in enumerate(arc(count)):
        rendering = render(scene, camera, world_from_camera)
        depth = DepthSensor().measure(rendering, random)
        frames.append(frame_from_depth(scene, rendering, depth, stamp=index * SECOND // 10))
    return frames


def untold(error: Exception, details: str) -> None:
    """Nothing fails here."""
    raise AssertionError(details) from error


@pytest.mark.parametrize("failed", [None, untold], ids=["alone", "as nodes call it"])
def test_frames_and_reconstructions_go_when_nobody_holds_them(failed: Failed | None) -> None:
    frames = swing(4)
    pipeline = ObjectPipeline(make_reconstructor("geometric"))
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        alive = []
        while frames:
            frame = frames.pop(0)
            wanted = [request.evidence for request in pipeline.observe(frame, failed=failed).requests]
            pipeline.integrate(wanted, pipeline.reconstruct(wanted, failed=failed))
            pipeline.observe(frame, failed=failed)
            alive.append(weakref.ref(frame))
            del frame, wanted
        assert [kept() is None for kept in alive] == [True, True, True, False]
        gc.collect()
        left = sorted({type(thing).__qualname__ for thing in gc.garbage if _is_ours(thing)})
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []


def _is_ours(thing: object) -> bool:
    return type(thing).__module__.startswith("sam3d_ros")
