"""What a reader of /diagnostics sees, with a clock of the test's own."""

from __future__ import annotations

import math
import threading

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from hypothesis import given
from hypothesis import strategies as st
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message

from sam3d_ros.ros import diagnostics
from sam3d_ros.ros.diagnostics import InputHealth, InputState, LatencyMeter, RateMeter
from sam3d_ros.ros.faults import Fault, FaultError, FaultLog, Level
from sam3d_ros.ros.qos import PROFILE_NAMES, qos_profile
from sam3d_ros.ros.stamps import header_message


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.floats(1.0, 60.0), st.integers(2, 50))
def test_a_steady_input_has_its_rate(rate, count):
    clock = Clock()
    meter = RateMeter(window=1000.0, clock=clock)
    for _ in range(count):
        clock.now += 1.0 / rate
        meter.tick()
    assert meter.rate() == pytest.approx(rate)
    assert meter.count == count
    clock.now += 3.0
    assert meter.age() == pytest.approx(3.0)


def test_an_input_that_stopped_has_no_rate_and_one_that_never_came_no_age():
    clock = Clock()
    meter = RateMeter(window=2.0, clock=clock)
    assert (meter.rate(), meter.age()) == (0.0, math.inf)
    for _ in range(20):
        clock.now += 0.1
        meter.tick()
    clock.now += 5.0
    assert meter.rate() == 0.0 and meter.count == 20


def test_latencies_are_summed_up_over_the_last_measurements():
    meter = LatencyMeter(size=3)
    for value in (100.0, 1.0, 5.0, 3.0):
        meter.add("refine", value)
    meter.add("total", 9.0)
    assert meter.summary() == {"refine": (3.0, 5.0), "total": (9.0, 9.0)}


def test_names_are_unique_and_every_fault_has_a_remedy():
    assert len({fault.label for fault in Fault}) == len(Fault)
    for fault in Fault:
        assert fault.label == fault.name.lower()
        assert isinstance(fault.level, Level) and len(fault.remedy) > 10


def test_the_log_counts_and_keeps_the_last_message():
    clock = Clock()
    log = FaultLog(clock)
    log.report(Fault.EMPTY_MASK, "first", times=3)
    clock.now += 10.0
    log.report_error(FaultError(Fault.UNKNOWN_ENCODING, "hsv8"))
    log.report(Fault.EMPTY_MASK, "second")
    assert log.count(Fault.EMPTY_MASK) == 4 and log.count(Fault.TIME_JUMP) == 0
    first, second = log.records()
    assert (first.fault, first.message) == (Fault.UNKNOWN_ENCODING, "hsv8")  # errors come first
    assert (second.count, second.message, second.age) == (4, "second", 0.0)
    clock.now += 5.0
    assert log.records(newer_than=4.0) == ()


def test_threads_lose_no_report():
    log = FaultLog()
    threads = [
        threading.Thread(target=lambda: [log.report(Fault.TRUNCATED_DATA, "x") for _ in range(1000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.count(Fault.TRUNCATED_DATA) == 4000


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


def test_present_faults_set_the_level_and_past_ones_are_listed():
    clock = Clock()
    log = FaultLog(clock)
    status = diagnostics.fault_status("objects", log.records())
    assert (status.level, status.message) == (DiagnosticStatus.OK, "no fault")
    log.report(Fault.UNCALIBRATED_CAMERA, "K[0] = 0")
    clock.now += 10.0
    log.report(Fault.LABELS_RESIZED, "labels are 32x24")
    status = diagnostics.fault_status("objects", log.records())
    assert (status.level, status.message) == (DiagnosticStatus.WARN, "labels_resized")
    assert "K[0] = 0" in values(status)["uncalibrated_camera"]
    assert Fault.UNCALIBRATED_CAMERA.remedy in values(status)["uncalibrated_camera"]
    log.report(Fault.UNCALIBRATED_CAMERA, "K[0] = 0")
    status = diagnostics.fault_status("objects", log.records())
    assert (status.level, status.message) == (DiagnosticStatus.ERROR, "uncalibrated_camera, labels_resized")


def health(topic: str, state: InputState, *, required: bool, publishers: int = 1) -> InputHealth:
    rate, age = {
        InputState.NEVER_SEEN: (0.0, math.inf),
        InputState.STALE: (0.0, 7.0),
    }.get(state, (30.0, 0.02))
    return InputHealth(topic, rate, age, required, state, publishers)


@pytest.mark.parametrize("bad", [InputState.NEVER_SEEN, InputState.STALE, InputState.MISMATCHED])
def test_inputs_that_are_not_well_are_named_by_their_state(bad):
    good = health("/image", InputState.OK, required=True)
    status = diagnostics.input_status("objects", [good, health("/labels", bad, required=True)])
    assert (status.level, status.message) == (DiagnosticStatus.ERROR, f"/labels {bad.value}")
    status = diagnostics.input_status("objects", [good, health("/depth", bad, required=False)])
    assert (status.level, status.message) == (DiagnosticStatus.WARN, f"/depth {bad.value}")
    # What is not there is nobody's fault where it need not be.
    status = diagnostics.input_status("objects", [good, health("/depth", bad, required=False, publishers=0)])
    assert (status.level, status.message) == (DiagnosticStatus.OK, "all inputs come")


def test_every_input_is_listed_with_what_is_known_of_it():
    inputs = [
        health("/image", InputState.OK, required=True),
        health("/labels", InputState.NEVER_SEEN, required=True, publishers=0),
        health("/points", InputState.NOT_READ, required=False),
    ]
    assert values(diagnostics.input_status("objects", inputs)) == {
        "/image": "ok, 30.0 Hz, 0.02 s ago",
        "/labels": "never seen, nobody publishes it",
        "/points": "not read, 30.0 Hz, 0.02 s ago",
    }


def test_the_message_goes_over_the_wire():
    message = diagnostics.diagnostic_array(
        header_message(5, ""),
        [
            diagnostics.fault_status("objects", []),
            diagnostics.count_status("objects", "drops", {"image: late": 3, "labels: late": 1}),
            diagnostics.latency_status("objects", {"refine": (12.0, 40.0)}),
            diagnostics.latency_status("objects", {}),
        ],
    )
    assert deserialize_message(serialize_message(message), type(message)) == message
    assert [status.name for status in message.status][:2] == ["objects: faults", "objects: drops"]
    assert message.status[1].message == "4 drops"
    assert message.status[2].message == "refine 12 ms"


def test_qos_profiles_by_name():
    sensor, reliable, latched = (qos_profile(name) for name in PROFILE_NAMES)
    assert sensor.reliability == ReliabilityPolicy.BEST_EFFORT
    assert reliable.reliability == ReliabilityPolicy.RELIABLE
    assert reliable.durability == DurabilityPolicy.VOLATILE
    assert latched.durability == DurabilityPolicy.TRANSIENT_LOCAL and latched.depth == 1
    assert qos_profile("latched", depth=50).depth == 50
    with pytest.raises(ValueError, match="use one of sensor_data, reliable, latched"):
        qos_profile("best")
