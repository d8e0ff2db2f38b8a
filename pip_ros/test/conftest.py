"""What tests of processes take for granted, however they are started themselves."""

import signal

from hypothesis import HealthCheck, settings

# On machines that are busy with other things no test fails for being slow.
settings.register_profile("no_deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no_deadline")


def pytest_configure() -> None:
    """Let the processes of tests be interrupted: a shell that runs something behind makes it deaf to SIGINT.

    A process hands that on to its children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
