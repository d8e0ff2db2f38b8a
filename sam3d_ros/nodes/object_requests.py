"""What others can ask of the node `sam3d_objects`: a reconstruction on demand."""

from __future__ import annotations

from functools import partial

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle

from sam3d_ros.action import Reconstruct
from sam3d_ros.nodes.boundary import Cancelled
from sam3d_ros.nodes.lifecycle import AutostartNode
from sam3d_ros.nodes.object_threads import ObjectThreads, Order
from sam3d_ros.ros.object_messages import object_array
from sam3d_ros.ros.stamps import header_message


class ObjectRequests:
    """The action `~/reconstruct`.

    A goal must not hold up the executor, so it is executed only when its result is there: until then its status is
    ACCEPTED, with feedback. One goal runs at a time, others are rejected meanwhile.

    Args:
        node: carries it.
    """

    def __init__(self, node: AutostartNode) -> None:
        self._node = node
        self._threads: ObjectThreads | None = None
        self._order: Order | None = None
        self._action = ActionServer(
            node,
            Reconstruct,
            "~/reconstruct",
            execute_callback=_answered_in_begin,
            goal_callback=node.boundary.guarded("goal", self._judge_goal, otherwise=GoalResponse.REJECT),
            handle_accepted_callback=node.boundary.guarded("accepted goal", self._begin),
            cancel_callback=node.boundary.guarded(
                "cancelled goal", self._cancel, otherwise=CancelResponse.REJECT
            ),
        )

    def serve(self, threads: ObjectThreads | None) -> None:
        """Take goals for these threads; None rejects them."""
        self._threads = threads

    def close(self) -> None:
        """Withdraw it."""
        self._action.destroy()

    def _judge_goal(self, _goal: Reconstruct.Goal) -> GoalResponse:
        refusal = ""
        if self._threads is None:
            refusal = f"the node is {self._node.state}, activate it first"
        elif self._threads.is_ordered:
            refusal = "another goal is under way"
        if refusal:
            self._node.get_logger().warning(f"reconstruct: goal rejected, {refusal}")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _begin(self, goal: ServerGoalHandle) -> None:
        def report(stage: str, share: float) -> None:
            if goal.is_cancel_requested:
                raise Cancelled
            goal.publish_feedback(Reconstruct.Feedback(stage=stage, progress=share))

        def finish(order: Order) -> None:
            goal.execute(partial(self._answer, order))

        order = self._order = Order(tuple(goal.request.ids), report, finish)
        if self._threads is None or not self._threads.order(order):
            order.error = "another goal is under way: send this one again later"
            finish(order)

    def _cancel(self, _goal: ServerGoalHandle) -> CancelResponse:
        # There is one at a time. Its answer is given by the executor, after it has noted that this was accepted.
        if self._threads is not None and self._order is not None:
            self._threads.cancel(self._order)
        return CancelResponse.ACCEPT

    def _answer(self, order: Order, goal: ServerGoalHandle) -> Reconstruct.Result:
        if order.result is None:
            if goal.is_cancel_requested:
                goal.canceled()
            else:
                goal.abort()
            return Reconstruct.Result(message=order.error)
        seen = order.result
        objects = [thing for thing in seen.objects if thing.track_id in order.track_ids]
        header = header_message(seen.stamp, seen.frame_id)
        goal.succeed()
        message = object_array(objects, header, session=seen.session, revision=seen.revision)
        return Reconstruct.Result(success=True, message=order.note, objects=message)


def _answered_in_begin(_goal: ServerGoalHandle) -> Reconstruct.Result:
    """The constructor demands a callback; each goal brings its own."""
    raise NotImplementedError("goals are executed with the callback that _begin gives them")
