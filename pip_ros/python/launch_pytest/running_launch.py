"""A launch that runs beside the tests."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from launch import LaunchDescription, LaunchDescriptionEntity, LaunchService
from launch_pytest.actions.ready_to_test import READY_CALLBACK, ReadyToTest

_Result = TypeVar("_Result")


class RunningLaunch:
    """An event loop in a thread, and the launch that runs in it.

    The tests keep the main thread. Their coroutines run in the loop of the launch, also after its end.
    """

    def __init__(self) -> None:
        self.service = LaunchService()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="launch_pytest", daemon=True)
        self._thread.start()
        self._run: concurrent.futures.Future[int] | None = None

    def call(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Run a coroutine in the loop; return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def start(self, description: LaunchDescription) -> None:
        """Start the launch; return when it is ready to test.

        Raises:
            RuntimeError: the launch ended before.
        """
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()

        def be_ready() -> None:
            if not ready.done():
                ready.set_result(None)

        self.service.context.extend_globals({READY_CALLBACK: be_ready})
        entities: list[LaunchDescriptionEntity] = [description]
        if not _contains_ready_to_test(description):
            entities.append(ReadyToTest())
        self.service.include_launch_description(LaunchDescription(entities))
        self._run = asyncio.run_coroutine_threadsafe(
            self.service.run_async(shutdown_when_idle=False), self._loop
        )
        begun: list[concurrent.futures.Future[Any]] = [ready, self._run]
        concurrent.futures.wait(begun, return_when=concurrent.futures.FIRST_COMPLETED)
        if not ready.done():
            raise RuntimeError(
                f"the launch ended with return code {self._run.result()} before it was ready to test"
            )

    def shutdown(self) -> int:
        """End the launch, if it still runs; return its return code."""
        self.service.shutdown(force_sync=True)
        return self.wait()

    def wait(self) -> int:
        """Wait until the launch has ended; return its return code."""
        return 0 if self._run is None else self._run.result()

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


def _contains_ready_to_test(entity: LaunchDescriptionEntity) -> bool:
    if isinstance(entity, ReadyToTest):
        return True
    later = (sub for _, subs in entity.describe_conditional_sub_entities() for sub in subs)
    return any(map(_contains_ready_to_test, [*entity.describe_sub_entities(), *later]))
