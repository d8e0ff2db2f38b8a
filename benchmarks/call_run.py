"""Calls to the nodes of perception, and whether each ended as it has to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from action_msgs.msg import GoalInfo, GoalStatus
from action_msgs.srv import CancelGoal
from builtin_interfaces.msg import Time
from call_clients import Clients
from fuzzed_calls import (
    ALLOWED,
    SHUTDOWNS,
    Given,
    Known,
    draw_goal_id,
    draw_ids,
    draw_parameter,
    draw_path,
    draw_text,
    draw_time,
    draw_transition,
)
from fuzzed_messages import Fuzzer
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetAvailableStates, GetAvailableTransitions, GetState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage
from type_description_interfaces.srv import GetTypeDescription
from unique_identifier_msgs.msg import UUID

from sam3d_ros.action import Reconstruct
from sam3d_ros.ros.frame_assembler import Input
from sam3d_ros.srv import SaveScene

OBJECTS, BODIES = "sam3d_objects", "sam3d_bodies"
#: How long images may take to become objects again, seconds.
RECOVERY_PATIENCE = 60.0
#: How many other publishers there are at most.
MOST_PUBLISHERS = 4
UNCONFIGURED, INACTIVE, ACTIVE = (
    State.PRIMARY_STATE_UNCONFIGURED,
    State.PRIMARY_STATE_INACTIVE,
    State.PRIMARY_STATE_ACTIVE,
)


class Run:
    """The calls, and what came of each.

    Attributes:
        ends: kind of call and how it ended -> how many.
        wrong: what was otherwise than it has to be.
    """

    def __init__(self, clients: Clients, seed: int) -> None:
        self.clients = clients
        self.rng = np.random.default_rng(seed)
        self.ends: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []
        self.known = {node: self._known(node) for node in (OBJECTS, BODIES)}
        self._fuzzer = Fuzzer(seed)
        self._goals: list[UUID] = []
        self._results: list[Future] = []
        self._publishers: list[Any] = []

    def call(self) -> None:
        """One call of a random kind to a random node."""
        node = (OBJECTS, OBJECTS, BODIES)[self.rng.integers(3)]
        kinds: tuple[tuple[float, Callable[[str], None]], ...] = (
            (0.27, self._set_parameters),
            (0.08, self._set_atomically),
            (0.15, self._ask_for_parameters),
            (0.15, self._change_state),
            (0.08, self._ask_for_states),
            (0.12, self._save_scene),
            (0.10, self._goal),
            (0.05, self._publish),
        )
        shares = np.array([share for share, _ in kinds])
        kinds[self.rng.choice(len(kinds), p=shares / shares.sum())][1](node)

    def recover(self) -> None:
        """Put everything back; images must become objects again."""
        for publisher in self._publishers:
            self.clients.node.destroy_publisher(publisher)
        self._publishers.clear()
        for node in (OBJECTS, BODIES):
            self._to(node, UNCONFIGURED)
            wanted = {
                name: known.value
                for name, known in self.known[node].items()
                if not known.descriptor.read_only
            }
            request = SetParameters.Request(
                parameters=[Parameter(name=n, value=v) for n, v in wanted.items()]
            )
            answer = self.clients.ask(SetParameters, f"{node}/set_parameters", request)
            for name, result in zip(wanted, answer.results, strict=True):
                if not result.successful:
                    self.wrong.append(f"{node}: {name} could not be put back: {result.reason}")
        self._to(OBJECTS, ACTIVE)
        self._change(BODIES, Transition.TRANSITION_CONFIGURE)
        if self._state(BODIES) == INACTIVE:
            self._change(BODIES, Transition.TRANSITION_ACTIVATE)
        for promised in self._results:
            self._note_result(self.clients.answer(promised, "the result of a goal"))
        self._results.clear()
        self._goals.clear()
        began, end = time.time_ns(), time.monotonic() + RECOVERY_PATIENCE
        while self.clients.newest < began and time.monotonic() < end:
            self.clients.spin(0.1)
        if self.clients.newest < began:
            self.wrong.append(f"no image became objects within {RECOVERY_PATIENCE:g} s")

    def shut_down(self) -> None:
        """Shut the nodes down, and ask them for more: nothing of it may be done."""
        for node in (OBJECTS, BODIES):
            if not self._change(node, SHUTDOWNS[self._state(node)]):
                self.wrong.append(f"{node} could not be shut down")
            for transition in range(10):
                if self._change(node, transition):
                    self.wrong.append(f"{node} did transition {transition} after its end")
            self._ask_for_parameters(node)

    def _known(self, node: str) -> dict[str, Known]:
        names = self.clients.ask(
            ListParameters, f"{node}/list_parameters", ListParameters.Request()
        ).result.names
        described = self.clients.ask(
            DescribeParameters, f"{node}/describe_parameters", DescribeParameters.Request(names=names)
        )
        values = self._values(node, list(names))
        known = {d.name: Known(d, v) for d, v in zip(described.descriptors, values, strict=True)}
        # Set to one, it asks for the end of the process at the first failure.
        del known["max_failures"]
        return known

    def _values(self, node: str, names: list[str]) -> list[ParameterValue]:
        request = GetParameters.Request(names=names)
        return list(self.clients.ask(GetParameters, f"{node}/get_parameters", request).values)

    def _given(self, node: str) -> list[Given]:
        drawn = [
            draw_parameter(self.rng, self.known[node]) for _ in range(int(self.rng.choice([1, 1, 2, 5])))
        ]
        # Of parameters that are named twice the last value would hold.
        return list({given.parameter.name: given for given in drawn}.values())

    def _set_parameters(self, node: str) -> None:
        given = self._given(node)
        names = [g.parameter.name for g in given]
        before = [self._values(node, [name]) for name in names]
        request = SetParameters.Request(parameters=[g.parameter for g in given])
        results = self.clients.ask(SetParameters, f"{node}/set_parameters", request).results
        if len(results) != len(given):
            self.wrong.append(f"{len(results)} results for {len(given)} parameters")
            return
        for g, old, result in zip(given, before, results, strict=True):
            self._judge(node, "set_parameters", g, old, result)

    def _set_atomically(self, node: str) -> None:
        given = self._given(node)
        before = [self._values(node, [g.parameter.name]) for g in given]
        request = SetParametersAtomically.Request(parameters=[g.parameter for g in given])
        answer = self.clients.ask(SetParametersAtomically, f"{node}/set_parameters_atomically", request)
        is_refused = any(g.is_refused for g in given)
        for g, old in zip(given, before, strict=True):
            self._judge(
                node,
                "set_parameters_atomically",
                Given(g.parameter, is_refused, g.defect if g.is_refused or not is_refused else "another's"),
                old,
                answer.result,
            )

    def _judge(self, node: str, kind: str, given: Given, before: list[ParameterValue], result: Any) -> None:
        """Whether a parameter was set or refused as it has to be, and holds what the answer says."""
        name, value = given.parameter.name, given.parameter.value
        self._end(f"{kind}: {given.defect}", "accepted" if result.successful else "refused")
        what = f"{kind} {node} {name[:60]!r} = {str(value)[:200]}"
        after = self._values(node, [name])
        if result.successful and given.is_refused:
            self.wrong.append(f"{what} was accepted")
        if result.successful and after != [value]:
            self.wrong.append(f"{what} was accepted and is {after}")
        if not result.successful and not result.reason:
            self.wrong.append(f"{what} was refused without a reason")
        # A name that is none has no value, which is told as no value at all.
        if not result.successful and after != before:
            self.wrong.append(f"{what} was refused ({result.reason}) and changed {before} to {after}")

    def _ask_for_parameters(self, node: str) -> None:
        rng = self.rng
        known = sorted(self.known[node])
        names = [draw_text(rng) if rng.random() < 0.3 else known[rng.integers(len(known))] for _ in range(3)]
        kind = rng.integers(5)
        if kind == 0:
            request = DescribeParameters.Request(names=names)
            self.clients.ask(DescribeParameters, f"{node}/describe_parameters", request)
        elif kind == 1:
            self._values(node, names)
        elif kind == 2:
            request = GetParameterTypes.Request(names=names)
            self.clients.ask(GetParameterTypes, f"{node}/get_parameter_types", request)
        elif kind == 3:
            depth = (0, 1, 2, 2**32, 2**64 - 1)[rng.integers(5)]
            request = ListParameters.Request(prefixes=names[: rng.integers(4)], depth=depth)
            self.clients.ask(ListParameters, f"{node}/list_parameters", request)
        else:
            request = GetTypeDescription.Request(type_name=draw_text(rng), type_hash=draw_text(rng))
            answer = self.clients.ask(GetTypeDescription, f"{node}/get_type_description", request)
            if answer.successful or not answer.failure_reason:
                self.wrong.append(f"get_type_description of {request.type_name[:60]!r}: {str(answer)[:200]}")
        self._end("get, describe and list parameters", "answered")

    def _change_state(self, node: str) -> None:
        before = self._state(node)
        if before not in ALLOWED:
            self.wrong.append(f"{node} is in state {before}")
            return
        transition, expected = draw_transition(self.rng, before)
        succeeded = self.clients.ask(
            ChangeState, f"{node}/change_state", ChangeState.Request(transition=transition)
        ).success
        after = self._state(node)
        kind = "transition that the state allows" if expected is not None else "transition that is none there"
        self._end(kind, "done" if succeeded else "refused")
        if after != (expected if succeeded else before):
            what = f"transition {transition.id} {transition.label[:60]!r} from {before}"
            self.wrong.append(f"{node}: {what} ended in {after}, done: {succeeded}")

    def _ask_for_states(self, node: str) -> None:
        kind = self.rng.integers(3)
        if kind == 0:
            self._state(node)
        elif kind == 1:
            self.clients.ask(GetAvailableStates, f"{node}/get_available_states", GetAvailableStates.Request())
        else:
            name = ("get_available_transitions", "get_transition_graph")[self.rng.integers(2)]
            self.clients.ask(GetAvailableTransitions, f"{node}/{name}", GetAvailableTransitions.Request())
        self._end("states and transitions", "answered")

    def _save_scene(self, node: str) -> None:
        if self._state(node) == UNCONFIGURED:
            return
        path, is_sound = draw_path(self.rng)
        answer = self.clients.ask(SaveScene, f"{node}/save_scene", SaveScene.Request(path=path))
        kind = "save_scene: a path below the folder" if is_sound else "save_scene: another path"
        self._end(kind, "saved" if answer.success else "refused")
        if answer.success and not is_sound:
            self.wrong.append(f"save_scene {path[:60]!r} was saved")
        if not answer.success and not answer.message:
            self.wrong.append(f"save_scene {path[:60]!r} was refused without a reason")

    def _goal(self, _node: str) -> None:
        """A goal, a request to cancel, or one for a result that may be of no goal."""
        if self._state(OBJECTS) == UNCONFIGURED:
            return
        rng, action = self.rng, f"{OBJECTS}/reconstruct/_action"
        chosen = draw_goal_id(rng, self._goals)
        kind = rng.random()
        if kind < 0.5:
            request = Reconstruct.Impl.SendGoalService.Request(goal_id=chosen)
            request.goal.ids = draw_ids(rng)
            answer = self.clients.ask(Reconstruct.Impl.SendGoalService, f"{action}/send_goal", request)
            self._end("goal", "accepted" if answer.accepted else "rejected")
            if not answer.accepted:
                return
            self._goals.append(chosen)
            self._results.append(self._ask_for_result(action, chosen))
            if rng.random() < 0.5:
                self._cancel(action, chosen, Time())
        elif kind < 0.9:
            self._cancel(action, chosen, draw_time(rng))
        else:
            unknown = UUID(uuid=rng.integers(0, 256, 16, np.uint8))
            answer = self.clients.answer(self._ask_for_result(action, unknown), "the result of no goal")
            self._end("result of no goal", f"status {answer.status}")

    def _cancel(self, action: str, goal: UUID, stamp: Time) -> None:
        request = CancelGoal.Request(goal_info=GoalInfo(goal_id=goal, stamp=stamp))
        answer = self.clients.ask(CancelGoal, f"{action}/cancel_goal", request)
        self._end("cancelled goal", f"code {answer.return_code}, {len(answer.goals_canceling)} goals")

    def _ask_for_result(self, action: str, goal: UUID) -> Future:
        kind = Reconstruct.Impl.GetResultService
        return self.clients.send(kind, f"{action}/get_result", kind.Request(goal_id=goal))

    def _note_result(self, answer: Any) -> None:
        status = {GoalStatus.STATUS_SUCCEEDED: "succeeded", GoalStatus.STATUS_CANCELED: "cancelled"}
        status[GoalStatus.STATUS_ABORTED] = f"aborted: {answer.result.message[:50]}"
        self._end("result of a goal", status.get(answer.status, f"status {answer.status}"))
        if not answer.result.success and not answer.result.message:
            self.wrong.append(f"a goal ended with status {answer.status} without a reason")

    def _publish(self, _node: str) -> None:
        """A publisher of any quality of service, and a fuzzed message of it; an old one goes."""
        rng, fuzzed = self.rng, self._fuzzer.draw()
        if len(self._publishers) >= MOST_PUBLISHERS:
            self.clients.node.destroy_publisher(self._publishers.pop(int(rng.integers(MOST_PUBLISHERS))))
        reliability = (ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT)[rng.integers(2)]
        durability = (DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL)[rng.integers(2)]
        quality = QoSProfile(depth=int(rng.integers(1, 20)), reliability=reliability, durability=durability)
        kind, topic = type(fuzzed.message), fuzzed.kind.value
        if kind is CompressedImage:
            topic += "/compressedDepth" if fuzzed.kind is Input.DEPTH else "/compressed"
        publisher = self.clients.node.create_publisher(kind, topic, quality)
        fuzzed.message.header.stamp = draw_time(rng)
        fuzzed.message.header.frame_id = draw_text(rng)[:300]
        publisher.publish(fuzzed.message)
        self._publishers.append(publisher)
        self._end("publisher of any quality of service", "published")

    def _state(self, node: str) -> int:
        return int(self.clients.ask(GetState, f"{node}/get_state", GetState.Request()).current_state.id)

    def _change(self, node: str, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self.clients.ask(ChangeState, f"{node}/change_state", request).success)

    def _to(self, node: str, wanted: int) -> None:
        """Bring a node into a state, upwards or downwards."""
        up = {UNCONFIGURED: Transition.TRANSITION_CONFIGURE, INACTIVE: Transition.TRANSITION_ACTIVATE}
        down = {ACTIVE: Transition.TRANSITION_DEACTIVATE, INACTIVE: Transition.TRANSITION_CLEANUP}
        while (state := self._state(node)) != wanted:
            if not self._change(node, (up if state < wanted else down)[state]):
                self.wrong.append(f"{node} could not be brought from state {state} to {wanted}")
                return

    def _end(self, kind: str, end: str) -> None:
        self.ends[kind, end] += 1
