"""The moment when a test may begin."""

from __future__ import annotations

from launch import Action, LaunchContext

READY_CALLBACK = "launch_pytest_ready"


class ReadyToTest(Action):
    """Lets the tests begin that use the launch."""

    def execute(self, context: LaunchContext) -> None:
        """Let them begin."""
        callback = context.get_locals_as_dict().get(READY_CALLBACK)
        if callback is None:
            raise RuntimeError("ReadyToTest needs a launch that a launch_pytest fixture started")
        callback()
