"""A process takes no place in shared memory that a killed one left: who sends to that may never notice."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sam3d_ros.nodes.shared_memory import PROFILE_VARIABLES, keep_apart_from_the_killed, numbered

ROOT = Path(__file__).resolve().parents[2]
SPACE = "{http://www.eprosima.com}"
#: Of the messages of users in domain 3, participant 0.
FIRST = 7400 + 250 * 3 + 11


def number_in(profile: str) -> str:
    """Of the default participant."""
    root = ElementTree.fromstring(profile)
    (number,) = root.findall(
        f".//{SPACE}participant[@is_default_profile='true']/{SPACE}rtps/{SPACE}participantID"
    )
    return str(number.text)


@given(st.integers(0, 200))
def test_the_shipped_profile_keeps_all_else(number: int) -> None:
    shipped = (ROOT / "config" / "fastdds.xml").read_text(encoding="utf-8")
    made = numbered(shipped, number)
    assert made is not None and number_in(made) == str(number)
    tags = [[e.tag for e in ElementTree.fromstring(text).iter()] for text in (shipped, made)]
    tags[1].remove(f"{SPACE}participantID")
    assert tags[0] == tags[1]


@pytest.mark.parametrize(
    "profile",
    [
        "",
        f'<dds xmlns="{SPACE[1:-1]}"/>',
        f'<profiles xmlns="{SPACE[1:-1]}"/>',
        f'<dds xmlns="{SPACE[1:-1]}"><profiles><participant profile_name="other"/></profiles></dds>',
        f'<profiles xmlns="{SPACE[1:-1]}"><participant profile_name="a" is_default_profile="true"/></profiles>',
    ],
)
def test_a_profile_without_a_participant_gets_one(profile: str) -> None:
    made = numbered(profile, 5)
    assert made is not None and number_in(made) == "5"


def test_a_number_that_is_given_stays_and_what_cannot_be_read_is_left_alone() -> None:
    made = numbered("", 5)
    assert made is not None and numbered(made, 6) is None
    assert numbered("<dds", 6) is None


class Memory:
    """A folder like that of shared memory.

    Attributes:
        folder: it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._locked: list[int] = []

    def port(self, number: int, *, alive: bool) -> None:
        """Of a participant of domain 3, whose process runs or was killed."""
        port = self.folder / f"fastrtps_port{FIRST + 2 * number}"
        port.touch()
        owner = port.with_name(f"{port.name}_el")
        owner.touch()
        if alive:
            self._locked.append(os.open(owner, os.O_RDONLY))
            fcntl.flock(self._locked[-1], fcntl.LOCK_EX)

    def close(self) -> None:
        for descriptor in self._locked:
            os.close(descriptor)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    made = Memory(tmp_path)
    yield made
    made.close()


def test_nothing_changes_where_nobody_was_killed(memory: Memory) -> None:
    environment = {"ROS_DOMAIN_ID": "3"}
    assert keep_apart_from_the_killed(environment, memory.folder) is None
    memory.port(0, alive=True)
    assert keep_apart_from_the_killed(environment, memory.folder) is None
    assert environment == {"ROS_DOMAIN_ID": "3"}


def test_the_first_number_without_a_port_is_taken(memory: Memory) -> None:
    memory.port(0, alive=True)
    memory.port(1, alive=False)
    environment = {"ROS_DOMAIN_ID": "3"}
    assert keep_apart_from_the_killed(environment, memory.folder) == 2
    for name in PROFILE_VARIABLES:
        assert number_in(Path(environment[name]).read_text()) == "2"
    # Once in a process: its next context has the same.
    assert keep_apart_from_the_killed(environment, memory.folder) is None


@pytest.mark.parametrize(
    "environment",
    [{}, {"ROS_DOMAIN_ID": "4"}, {"ROS_DOMAIN_ID": "3", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}],
)
def test_other_domains_and_middlewares_are_left_alone(memory: Memory, environment: dict[str, str]) -> None:
    memory.port(1, alive=False)
    before = dict(environment)
    assert keep_apart_from_the_killed(environment, memory.folder) is None
    assert environment == before


def test_with_a_port_of_every_number_fast_dds_chooses(memory: Memory) -> None:
    for number in range(32):
        memory.port(number, alive=False)
    assert keep_apart_from_the_killed({"ROS_DOMAIN_ID": "3"}, memory.folder) is None


def places(pid: int) -> set[str]:
    """The ports for messages of users that a process has."""
    first = 7400 + 250 * int(os.environ["ROS_DOMAIN_ID"])
    held = {Path(os.path.realpath(link)).name for link in Path(f"/proc/{pid}/fd").iterdir()}
    return {
        name
        for name in held
        if name.startswith("fastrtps_port") and name.endswith("_el") and int(name[13:-3]) > first
    }


def test_a_process_does_not_take_the_place_of_a_killed_one(run: Callable[..., Any], wait_for: Any) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("no shared memory here")
    killed = run("perception")
    assert wait_for(lambda: places(killed.pid))
    before = places(killed.pid)
    killed.stop(signal.SIGKILL)
    assert all((memory / name).exists() for name in before)
    after = run("perception")
    try:
        assert wait_for(lambda: places(after.pid))
        assert before.isdisjoint(places(after.pid))
    finally:
        for name in before:  # as `fastdds shm clean` does
            for left in (name, name.removesuffix("_el")):
                (memory / left).unlink(missing_ok=True)
