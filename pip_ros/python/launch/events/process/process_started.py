"""A process began."""

from launch.events.process.running_process_event import RunningProcessEvent


class ProcessStarted(RunningProcessEvent):
    """A process began."""

    name = "launch.events.process.ProcessStarted"
