"""Messages that belong together are found: against a search of all, and over the real middleware."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import message_filters
import pytest
import rclpy
from geometry_msgs.msg import PointStamped
from hypothesis import given
from hypothesis import strategies as st
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import String

MILLISECOND = 1_000_000
stamps = st.lists(st.integers(0, 200), min_size=1, max_size=8, unique=True)


def stamped(milliseconds: int) -> PointStamped:
    message = PointStamped()
    message.header.stamp = Time(nanoseconds=milliseconds * MILLISECOND).to_msg()
    return message


def milliseconds(message: PointStamped) -> int:
    return Time.from_msg(message.header.stamp).nanoseconds // MILLISECOND


def gathered(synchronizer: message_filters.SimpleFilter) -> list[tuple[int, ...]]:
    """The stamps of what it passes on."""
    found: list[tuple[int, ...]] = []
    synchronizer.registerCallback(lambda *messages: found.append(tuple(map(milliseconds, messages))))
    return found


@given(first=stamps, second=stamps)
def test_equal_stamps_come_together_in_any_order(first: list[int], second: list[int]) -> None:
    filters = [message_filters.SimpleFilter(), message_filters.SimpleFilter()]
    found = gathered(message_filters.TimeSynchronizer(filters, 10))
    for filter_, sent in zip(filters, (first, second), strict=True):
        for each in sent:
            filter_.signalMessage(stamped(each))
    assert sorted(found) == [(each, each) for each in sorted(set(first) & set(second))]


@given(sent=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 100)), max_size=15), slop=st.integers(0, 30))
def test_close_stamps_come_together_as_soon_as_they_can(sent: list[tuple[int, int]], slop: int) -> None:
    filters = [message_filters.SimpleFilter() for _ in range(3)]
    found = gathered(message_filters.ApproximateTimeSynchronizer(filters, 20, slop / 1000))
    waiting: list[set[int]] = [set(), set(), set()]
    for number, stamp in sent:
        before = len(found)
        filters[number].signalMessage(stamped(stamp))
        waiting[number].add(stamp)
        close = [c for c in itertools.product(*waiting) if c[number] == stamp and max(c) - min(c) <= slop]
        assert len(found) - before == (1 if close else 0)
        if close:
            assert found[-1] in close
            cost = [sum(abs(each - stamp) for each in candidate) for candidate in close]
            assert sum(abs(each - stamp) for each in found[-1]) == min(cost)
            for queue, each in zip(waiting, found[-1], strict=True):
                queue.remove(each)


def test_the_oldest_is_dropped_where_the_queue_is_full() -> None:
    filters = [message_filters.SimpleFilter(), message_filters.SimpleFilter()]
    found = gathered(message_filters.TimeSynchronizer(filters, 2))
    for each in (1, 2, 3):
        filters[0].signalMessage(stamped(each))
    for each in (1, 2, 3):
        filters[1].signalMessage(stamped(each))
    assert found == [(2, 2), (3, 3)]


def test_what_has_no_stamp_needs_to_be_allowed() -> None:
    filters = [message_filters.SimpleFilter(), message_filters.SimpleFilter()]
    strict = message_filters.ApproximateTimeSynchronizer(filters, 5, 10.0)
    loose = message_filters.ApproximateTimeSynchronizer(filters, 5, 10.0, allow_headerless=True)
    passed: list[str] = []
    strict.registerCallback(lambda *messages: passed.append("strict"))
    loose.registerCallback(lambda *messages: passed.append("loose"))
    for filter_ in filters:
        filter_.signalMessage(String())
    assert passed == ["loose"]


def test_a_cache_knows_its_times() -> None:
    source = message_filters.SimpleFilter()
    cache = message_filters.Cache(source, cache_size=3)
    assert (cache.getLast(), cache.getLatestTime(), cache.getOldestTime()) == (None, None, None)
    for each in (10, 20, 30, 40):
        source.signalMessage(stamped(each))

    def at(milliseconds: int) -> Time:
        return Time(nanoseconds=milliseconds * MILLISECOND)

    assert [milliseconds(m) for m in cache.getInterval(at(0), at(30))] == [20, 30]
    assert milliseconds(cache.getElemAfterTime(at(25))) == 30
    assert milliseconds(cache.getElemBeforeTime(at(25))) == 20
    assert cache.getElemBeforeTime(at(5)) is None
    assert milliseconds(cache.getLast()) == 40
    assert cache.getOldestTime().nanoseconds == 20 * MILLISECOND


@pytest.fixture
def spin() -> Iterator[tuple[Node, Callable[[Callable[[], Any]], None]]]:
    """A node on a domain of its own, and what spins it until something holds."""
    context = Context()
    rclpy.init(context=context, domain_id=1 + (os.getpid() + 70) % 100)
    node = Node("filtering", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def until(holds: Callable[[], Any]) -> None:
        end = time.monotonic() + 20.0
        while not holds() and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)

    yield node, until
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_topics_are_synchronized(spin: tuple[Node, Callable[[Callable[[], Any]], None]]) -> None:
    node, until = spin
    names = ("left", "right")
    subscribers = [
        message_filters.Subscriber(node, PointStamped, "left"),
        message_filters.Subscriber(node, PointStamped, "right", qos_profile=5),
    ]
    assert [subscriber.getTopic() for subscriber in subscribers] == list(names)
    found = gathered(message_filters.ApproximateTimeSynchronizer(subscribers, 10, 0.01))
    publishers = [node.create_publisher(PointStamped, name, 10) for name in names]
    until(lambda: all(publisher.get_subscription_count() for publisher in publishers))
    for shift, publisher in zip((0, 4), publishers, strict=True):
        for each in (100, 200, 300):
            publisher.publish(stamped(each + shift))
    until(lambda: len(found) == 3)
    assert found == [(100, 104), (200, 204), (300, 304)]
