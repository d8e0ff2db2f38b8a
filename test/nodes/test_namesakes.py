"""Two graphs in one namespace, as for two cameras, are named: everything that they publish is mixed up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from node_process import NAME, NodeInProcess
from rclpy.node import Node


@pytest.fixture
def process(own_domain: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[NodeInProcess]:
    monkeypatch.setattr("sam3d_ros.nodes.self_report.NAMESAKE_PATIENCE", 1.5)
    made = NodeInProcess(reconstructor="geometric")
    yield made
    made.close()


def test_a_node_of_the_same_name_is_named_and_others_are_not(
    process: NodeInProcess, late_probe: Any, wait_for: Any
) -> None:
    own = (NAME.lstrip("/"), "/")
    others = [
        Node("sam3d_objects", namespace="/other_robot", context=late_probe.context),
        Node("sam3d_bodies", context=late_probe.context),
    ]
    known = late_probe.node.get_node_names_and_namespaces
    assert wait_for(lambda: own in known() and ("sam3d_objects", "/other_robot") in known())
    assert not wait_for(lambda: process.faults()["name_conflict"], 4.0)
    namesake = Node(own[0], context=late_probe.context)
    assert wait_for(lambda: process.faults()["name_conflict"])
    namesake.destroy_node()
    assert wait_for(lambda: process.node.get_node_names_and_namespaces().count(own) == 1)
    before = process.faults()["name_conflict"]
    assert not wait_for(lambda: process.faults()["name_conflict"] > before + 1, 4.0)
    for node in others:
        node.destroy_node()
