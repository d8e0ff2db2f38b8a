"""What a node tells about itself on /diagnostics: rates, ages, drops, latencies and faults."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from sam3d_ros.ros.faults import FaultRecord

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class RateMeter:
    """Rate and age of what comes at an input; may be used from any thread.

    Args:
        window: seconds that the rate is taken over.
        clock: seconds that only grow.
    """

    def __init__(self, window: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._times: deque[float] = deque()
        self._last: float | None = None
        self._count = 0

    def tick(self) -> None:
        """Something came."""
        now = self._clock()
        with self._lock:
            self._times.append(now)
            self._last = now
            self._count += 1
            self._forget(now)

    @property
    def count(self) -> int:
        """How much has come since the start."""
        return self._count

    def rate(self) -> float:
        """Hz over the window: intervals between arrivals, 0 with fewer than two."""
        now = self._clock()
        with self._lock:
            self._forget(now)
            if len(self._times) < 2:
                return 0.0
            elapsed = self._times[-1] - self._times[0]
            return (len(self._times) - 1) / elapsed if elapsed > 0 else 0.0

    def age(self) -> float:
        """Seconds since the last arrival; infinite before the first."""
        with self._lock:
            return float("inf") if self._last is None else self._clock() - self._last

    def _forget(self, now: float) -> None:
        while self._times and now - self._times[0] > self._window:
            self._times.popleft()


class LatencyMeter:
    """Durations by stage over the last measurements; may be used from any thread.

    Args:
        size: measurements kept of each stage.
    """

    def __init__(self, size: int = 100) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._stages: dict[str, deque[float]] = {}

    def add(self, stage: str, milliseconds: float) -> None:
        """Note a duration."""
        with self._lock:
            self._stages.setdefault(stage, deque(maxlen=self._size)).append(milliseconds)

    def summary(self) -> dict[str, tuple[float, float]]:
        """stage -> median and maximum, milliseconds."""
        with self._lock:
            kept = {stage: list(values) for stage, values in self._stages.items()}
        return {stage: (float(np.median(values)), max(values)) for stage, values in kept.items()}


class InputState(Enum):
    """How an input does, in a word."""

    OK = "ok"
    NEVER_SEEN = "never seen"
    STALE = "stale"
    MISMATCHED = "mismatched"
    NOT_READ = "not read"


@dataclass(frozen=True)
class InputHealth:
    """How an input does.

    Attributes:
        topic: its resolved name.
        rate: Hz.
        age: seconds since the last message, infinite before the first.
        required: nothing works without it.
        state: in a word.
        publishers: how many there are.
    """

    topic: str
    rate: float
    age: float
    required: bool
    state: InputState
    publishers: int

    @property
    def level(self) -> bytes:
        """ERROR of a required input that does not come; WARN of another one that somebody publishes."""
        if self.state in (InputState.OK, InputState.NOT_READ):
            return OK
        if self.required:
            return ERROR
        return WARN if self.publishers else OK

    def __str__(self) -> str:
        words = [self.state.value]
        if self.age != float("inf"):
            words.append(f"{self.rate:.1f} Hz, {self.age:.2f} s ago")
        if not self.publishers:
            words.append("nobody publishes it")
        return ", ".join(words)


def diagnostic_array(header: Header, statuses: Sequence[DiagnosticStatus]) -> DiagnosticArray:
    """The statuses of a node as one message."""
    return DiagnosticArray(header=header, status=list(statuses))


def fault_status(
    node: str, records: Sequence[FaultRecord], *, active_for: float = 3.0, hardware_id: str = ""
) -> DiagnosticStatus:
    """The faults, each by its name with its count, its last message and what to do.

    Args:
        records: from `FaultLog.records`.
        active_for: a fault counts as present for so many seconds after its last report; later it is only listed.
    """
    active = [record for record in records if record.age <= active_for]
    level = max((record.fault.level for record in active), default=0)
    names = ", ".join(record.fault.label for record in active)
    values = {
        record.fault.label: f"{record.count} x, {record.age:.1f} s ago: {record.message} ({record.fault.remedy})"
        for record in records
    }
    return _status(f"{node}: faults", bytes([level]), names or "no fault", values, hardware_id)


def input_status(node: str, inputs: Sequence[InputHealth], *, hardware_id: str = "") -> DiagnosticStatus:
    """State, rate and age of each input; what is not as it should be is named."""
    values = {item.topic: str(item) for item in inputs}
    level = max((item.level for item in inputs), default=OK)
    bad = [f"{item.topic} {item.state.value}" for item in inputs if item.level != OK]
    return _status(f"{node}: inputs", level, ", ".join(bad) or "all inputs come", values, hardware_id)


def count_status(
    node: str, what: str, counts: Mapping[str, int], *, hardware_id: str = ""
) -> DiagnosticStatus:
    """Totals since the start, for instance of messages that were not used by reason."""
    values = {name: str(count) for name, count in counts.items()}
    return _status(f"{node}: {what}", OK, f"{sum(counts.values())} {what}", values, hardware_id)


def latency_status(
    node: str, stages: Mapping[str, tuple[float, float]], *, hardware_id: str = ""
) -> DiagnosticStatus:
    """Median and maximum of each stage, from `LatencyMeter.summary`."""
    values = {stage: f"median {median:.1f} ms, max {most:.1f} ms" for stage, (median, most) in stages.items()}
    message = ", ".join(f"{stage} {median:.0f} ms" for stage, (median, _) in stages.items())
    return _status(f"{node}: latency", OK, message or "nothing measured yet", values, hardware_id)


def _status(
    name: str, level: bytes, message: str, values: Mapping[str, str], hardware_id: str
) -> DiagnosticStatus:
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(name=name, level=level, message=message, hardware_id=hardware_id, values=pairs)
