"""Where failures end: what is counted, what is told, and what passes."""

from __future__ import annotations

import pytest
from std_srvs.srv import Trigger

from sam3d_ros.nodes.boundary import LONGEST_REST, Boundary, Cancelled
from sam3d_ros.ros.faults import Fault, FaultError


def fail() -> None:
    raise KeyError("a defect")


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def boundary(told: list[tuple[str, str]]) -> Boundary:
    def tell(what: str, error: Exception, details: str) -> None:
        assert details.startswith("Traceback") and repr(error).split("(")[0] in details
        told.append((what, str(error)))

    return Boundary(tell, limit=3)


def test_failures_of_one_kind_in_a_row_reach_the_limit(
    boundary: Boundary, told: list[tuple[str, str]]
) -> None:
    for work in (fail, fail, lambda: None, fail, fail):
        boundary.attempt("frames", work)
        boundary.attempt("timer", lambda: None)
        boundary.attempt("frames", lambda: False)  # nothing to do is neither
    boundary.attempt("others", fail)
    assert boundary.given_up == ""
    assert isinstance(boundary.attempt("frames", fail), KeyError)
    assert boundary.given_up == "frames"
    assert told == [("frames", "'a defect'")] * 4 + [("others", "'a defect'"), ("frames", "'a defect'")]


def test_who_fails_in_a_row_rests_ever_longer(boundary: Boundary) -> None:
    rests = []
    for _ in range(20):
        boundary.attempt("frames", fail)
        rests.append(boundary.rest("frames"))
    assert rests == sorted(rests)
    assert 0 < rests[0] < rests[1] < LONGEST_REST == rests[-1]


def test_what_is_cancelled_is_no_failure(boundary: Boundary, told: list[tuple[str, str]]) -> None:
    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        boundary.attempt("order", cancel)
    assert told == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("no home"), "internal_error: no home"),
        (FaultError(Fault.INVALID_REQUEST, "not there"), "invalid_request: not there"),
    ],
)
def test_who_asks_is_answered_and_may_ask_again_as_often_as_he_likes(
    boundary: Boundary, error: Exception, said: str
) -> None:
    def answer(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = True
        raise error

    service = boundary.guarded_service("~/save", answer)
    for _ in range(10):
        response = service(Trigger.Request(), Trigger.Response())
        assert (response.success, response.message) == (False, said)
    assert boundary.given_up == ""
