"""A stage for sinks, and those who listen to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sink_bench import Ear, Stage
from spinning import SpunNodes


@pytest.fixture(scope="module")
def process(own_domain: None) -> Iterator[SpunNodes]:
    """What stages are in: others find its next node at once."""
    made = SpunNodes("events")
    yield made
    made.close()


@pytest.fixture
def play(process: SpunNodes) -> Iterator[Callable[..., Stage]]:
    """Puts sinks on a stage."""
    stages: list[Stage] = []

    def begin(make: Callable[..., Any], namespace: str = "") -> Stage:
        stages.append(Stage(process.context, make, namespace))
        return stages[-1]

    yield begin
    for stage in stages:
        stage.close()


@pytest.fixture
def listen(probe: Any) -> Iterator[Callable[..., Ear[Any]]]:
    """Begins to listen to a topic of the stage, until the end of the test."""
    ears: list[Ear[Any]] = []

    def begin(message_type: Any, topic: str, qos: Any) -> Ear[Any]:
        ears.append(Ear(probe, message_type, topic, qos))
        return ears[-1]

    yield begin
    for ear in ears:
        ear.leave()
