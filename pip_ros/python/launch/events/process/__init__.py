"""Events of a process."""

from launch.events.process.process_exited import ProcessExited
from launch.events.process.process_io import ProcessIO, ProcessStderr, ProcessStdout
from launch.events.process.process_matchers import (
    matches_executable,
    matches_name,
    matches_pid,
)
from launch.events.process.process_started import ProcessStarted
from launch.events.process.process_targeted_event import (
    ProcessTargetedEvent,
    ShutdownProcess,
    SignalProcess,
)
from launch.events.process.running_process_event import RunningProcessEvent
from launch.unsupported import absent_names

__all__ = [
    "ProcessExited",
    "ProcessIO",
    "ProcessStarted",
    "ProcessStderr",
    "ProcessStdout",
    "ProcessTargetedEvent",
    "RunningProcessEvent",
    "ShutdownProcess",
    "SignalProcess",
    "matches_executable",
    "matches_name",
    "matches_pid",
]

__getattr__ = absent_names(__name__, {"ProcessStdin"})
