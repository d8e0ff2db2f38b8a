"""Where a failure ends: what a node does is done in turns, and one that fails does no harm to the others.

Messages, parameters, requests and what reconstructors answer come from outside. Whatever they bring about is a fault by
name with its traceback in the log; who asked is answered; and the node goes on with the next turn.
"""

from __future__ import annotations

import functools
import threading
import traceback
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import SetParametersResult

from sam3d_ros.ros.faults import Fault, FaultError

#: A kind of turn that failed so often in a row will not work again by itself.
MAX_FAILURES = 100
#: A thread rests after a failure, twice as long after each further one in a row, and at most so long; seconds.
SHORTEST_REST, LONGEST_REST = 0.01, 1.0
_MOST_DOUBLINGS = 10

#: Told of a failure: what was done, the error, its traceback.
Failed = Callable[[str, Exception, str], None]


class Cancelled(BaseException):
    """Raised through work that nobody wants any more. It is no failure: what handles those lets it pass."""


class Boundary:
    """Runs turns and keeps what they raise; may be used from any thread.

    Args:
        tell: told of every failure.
        limit: so many failures of one kind of turn in a row end the process.

    Attributes:
        tell, limit: as given.
        given_up: the kind of turn that reached the limit; empty = none did.
    """

    def __init__(self, tell: Failed, limit: int = MAX_FAILURES) -> None:
        self.limit = limit
        self.given_up = ""
        self.tell = tell
        self._lock = threading.Lock()
        self._in_a_row: dict[str, int] = {}

    def attempt(self, kind: str, work: Callable[[], object]) -> Exception | None:
        """Do the work of a turn; what it raised.

        A turn that gives False had nothing to do: it says nothing of the next one that has.
        """
        try:
            if work() is False:
                return None
        except Exception as error:  # noqa: BLE001 - the boundary
            self.take(kind, error)
            return error
        with self._lock:
            self._in_a_row.pop(kind, None)
        return None

    def take(self, kind: str, error: Exception) -> None:
        """Count and tell a failure that is being handled.

        One with a remedy, such as lack of memory, never ends the process: it lasts until the remedy comes.
        """
        with self._lock:
            count = self._in_a_row[kind] = self._in_a_row.get(kind, 0) + 1
            if count >= self.limit and not isinstance(error, (MemoryError, FaultError)):
                self.given_up = self.given_up or kind
        self.tell(kind, error, traceback.format_exc())

    def rest(self, kind: str) -> float:
        """How long a thread does well to wait after a failure of this kind, seconds."""
        with self._lock:
            count = self._in_a_row.get(kind, 0)
        return min(LONGEST_REST, SHORTEST_REST * 2.0 ** min(count, _MOST_DOUBLINGS))

    def guarded(
        self, kind: str, callback: Callable[..., Any], *, otherwise: Any = None
    ) -> Callable[..., Any]:
        """A callback, each call of which is a turn; it gives `otherwise` where it fails."""

        # rclpy looks at the signature, which this keeps.
        @functools.wraps(callback)
        def turn(*arguments: Any) -> Any:
            answers: list[Any] = []
            error = self.attempt(kind, lambda: answers.append(callback(*arguments)))
            return answers[0] if error is None else otherwise

        return turn

    def guarded_service(self, name: str, callback: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """A callback of a service: a request that it fails for is answered with the failure.

        Failed requests do not end the process, however many there are: who asks is outside.
        """

        @functools.wraps(callback)
        def answer(request: Any, response: Any) -> Any:
            try:
                return callback(request, response)
            except Exception as error:  # noqa: BLE001 - the boundary
                self.tell(f"service {name}", error, traceback.format_exc())
                fault = error.fault if isinstance(error, FaultError) else Fault.INTERNAL_ERROR
                return _refusal(request, type(response)(), f"{fault.label}: {error}")

        return answer


def _refusal(request: Any, response: Any, text: str) -> Any:
    """The response with a text, where its type has a place for one: a message, or a result for each parameter."""
    if hasattr(response, "message"):
        response.message = text
    elif hasattr(response, "results"):
        response.results = [SetParametersResult(reason=text) for _ in request.parameters]
    elif hasattr(response, "result") and hasattr(response.result, "reason"):
        response.result.reason = text
    return response
