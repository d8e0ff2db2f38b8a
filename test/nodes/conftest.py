"""Real processes over real DDS, on a domain of their own.

Test modules share the benches that lie beside this file.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ament_index_python.packages import get_package_prefix

sys.path.insert(0, str(Path(__file__).parent))

from object_desk import Desk, small_table
from spinning import SpunNodes

from sam3d_ros.perception.frame import Frame

ROOT = Path(__file__).resolve().parents[2]
#: Discovery takes up to a few seconds, and importing the libraries of a node as long on a busy machine.
PATIENCE = 30.0


#: Participants of one process announce to each other without a transport, and what is announced while another one joins
#: may never arrive (Fast DDS 2.14.5: in 4 of 72 tests nobody heard of the camera). Those of a test stand for processes.
LIKE_PROCESSES = "<library_settings><intraprocess_delivery>OFF</intraprocess_delivery></library_settings>"


@pytest.fixture(scope="session", autouse=True)
def own_domain(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Domains above 101 meet the ephemeral ports of Linux."""
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    shipped = (ROOT / "config" / "fastdds.xml").read_text(encoding="utf-8")
    profile = tmp_path_factory.mktemp("dds") / "fastdds.xml"
    profile.write_text(shipped.replace("<profiles>", f"{LIKE_PROCESSES}\n  <profiles>"), encoding="utf-8")
    for variable in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        os.environ[variable] = str(profile)


@pytest.fixture(scope="session", autouse=True)
def scene_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the nodes write scenes: what users keep is left alone."""
    home = tmp_path_factory.mktemp("data_home")
    os.environ["XDG_DATA_HOME"] = str(home)
    return home / "sam3d_ros" / "scenes"


class Probe:
    """A node of the test: publishes inputs and keeps what it hears, spun by a thread of its own.

    Attributes:
        context: of the node.
        do: has something done by the thread that spins it; entities may be destroyed by that one alone.
    """

    def __init__(self, name: str) -> None:
        self._spun = SpunNodes("classic")
        self.context, self.do = self._spun.context, self._spun.do
        self.node = self._spun.create(name)

    def hear(self, message_type: Any, topic: str, qos: Any) -> list[Any]:
        """The list that messages of a topic are appended to."""
        heard: list[Any] = []
        self.node.create_subscription(message_type, topic, heard.append, qos)
        return heard

    def close(self) -> None:
        """End the node."""
        self._spun.close()


def wait_until(condition: Callable[[], Any], timeout: float = PATIENCE) -> Any:
    """The first true answer of `condition`, or its last answer when the time is up."""
    end = time.monotonic() + timeout
    while not (answer := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return answer


class Process:
    """An executable of the package, run as a user would."""

    def __init__(self, executable: str, *arguments: str, log: Path) -> None:
        path = Path(get_package_prefix("sam3d_ros")) / "lib" / "sam3d_ros" / executable
        self.log = log
        with log.open("w") as stream:
            self._process = subprocess.Popen(
                [sys.executable, str(path), *arguments], stdout=stream, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self, number: int = signal.SIGINT, timeout: float = 10.0) -> int:
        """Send a signal; the exit code, or that of a killed process when it does not end in time."""
        if self.alive():
            self._process.send_signal(number)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


@pytest.fixture(scope="module")
def probe(own_domain: None) -> Iterator[Probe]:
    """A node of the test."""
    made = Probe("probe")
    yield made
    made.close()


@pytest.fixture
def late_probe(own_domain: None) -> Iterator[Probe]:
    """A second node, which joins when its test begins."""
    made = Probe("late_probe")
    yield made
    made.close()


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., Any]:
    """See `wait_until`."""
    return wait_until


@pytest.fixture(scope="module")
def call(probe: Probe) -> Callable[..., Any]:
    """Calls a service and returns its response."""

    def ask(service_type: Any, name: str, request: Any) -> Any:
        client = probe.node.create_client(service_type, name)
        assert client.wait_for_service(PATIENCE), f"no service {name}"
        answer = client.call_async(request)
        assert wait_until(answer.done), f"{name} did not answer"
        probe.do(lambda: probe.node.destroy_client(client))
        return answer.result()

    return ask


@pytest.fixture(scope="module")
def run(own_domain: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Process]]:
    """Starts executables; those still running at the end are stopped."""
    started: list[Process] = []

    def start(executable: str, *arguments: str) -> Process:
        log = tmp_path_factory.mktemp("process") / f"{executable}.log"
        started.append(Process(executable, *arguments, log=log))
        return started[-1]

    yield start
    for process in started:
        process.stop()


@pytest.fixture(scope="session")
def picture() -> Frame:
    """A table with objects on it, simulated once."""
    return small_table()


@pytest.fixture
def desk() -> Iterator[Desk]:
    """The threads of objects, running."""
    made = Desk()
    made.threads.start()
    yield made
    made.reconstructor.gate.set()
    made.threads.stop()
