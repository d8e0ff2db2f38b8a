"""A process whose pipelines share their sources, and a small camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from node_bench import Pipeline, SmallCamera
from spinning import EXECUTORS, SpunNodes

from sam3d_ros.nodes.sources.frame_source import FrameSources


@pytest.fixture(scope="module", params=EXECUTORS)
def host(own_domain: None, request: pytest.FixtureRequest) -> Iterator[SpunNodes]:
    """The process; others find its next node at once."""
    made = SpunNodes(request.param)
    yield made
    made.close()


@pytest.fixture
def camera(probe: Any) -> Iterator[SmallCamera]:
    made = SmallCamera(probe)
    yield made
    made.close()


@pytest.fixture
def pipelines(host: SpunNodes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Pipeline]]:
    """Makes pipelines that share the sources of a process, and know at once which sensors there are."""
    monkeypatch.setattr("sam3d_ros.nodes.sources.frame_reader.DISCOVERY_TIME", 0.0)
    sources, made = FrameSources(), []

    def make(name: str, **options: Any) -> Pipeline:
        made.append(Pipeline(host, sources, name, **options))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.destroy()
