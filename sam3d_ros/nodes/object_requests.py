"""What others can ask of the node `sam3d_objects`: a reconstruction on demand, and the scene in a file."""

from __future__ import annotations

from pathlib import Path

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node

from sam3d_ros.action import Reconstruct
from sam3d_ros.nodes.object_threads import Cancelled, ObjectThreads, Order
from sam3d_ros.perception.scene import write_camera_scene, write_fixed_scene
from sam3d_ros.ros.object_messages import object_array
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.srv import SaveScene


class ObjectRequests:
    """The action `~/reconstruct` and the service `~/save_scene`.

    A goal waits in a thread of the executor while the reconstruction thread works on it, so one goal runs at a time
    and others are rejected meanwhile.

    Args:
        node: carries both.
        threads: where the work is done.
        target_frame: the frame that objects are tracked in; empty = that of the image.
    """

    def __init__(self, node: Node, threads: ObjectThreads, target_frame: str) -> None:
        self._node = node
        self._threads = threads
        self._target_frame = target_frame
        group = ReentrantCallbackGroup()
        self._action = ActionServer(
            node,
            Reconstruct,
            "~/reconstruct",
            execute_callback=self._reconstruct,
            goal_callback=self._judge_goal,
            cancel_callback=lambda _goal: CancelResponse.ACCEPT,
            callback_group=group,
        )
        self._service = node.create_service(SaveScene, "~/save_scene", self._save_scene, callback_group=group)

    def close(self) -> None:
        """Withdraw both."""
        self._action.destroy()
        self._node.destroy_service(self._service)

    def _judge_goal(self, _goal: Reconstruct.Goal) -> GoalResponse:
        if self._threads.is_ordered:
            self._node.get_logger().warning("reconstruct: rejected, another goal is under way")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _reconstruct(self, goal: ServerGoalHandle) -> Reconstruct.Result:
        def report(stage: str, share: float) -> None:
            if goal.is_cancel_requested:
                raise Cancelled
            goal.publish_feedback(Reconstruct.Feedback(stage=stage, progress=share))

        order = Order(tuple(goal.request.ids), report)
        if not self._threads.order(order):
            goal.abort()
            return Reconstruct.Result(message="another goal is under way: send this one again later")
        order.finished.wait()
        if order.result is None:
            if goal.is_cancel_requested:
                goal.canceled()
            else:
                goal.abort()
            return Reconstruct.Result(message=order.error)
        frame, observation = order.result
        objects = [thing for thing in observation.objects if thing.track_id in order.track_ids]
        goal.succeed()
        header = header_message(observation.stamp, self._target_frame or frame.frame_id)
        return Reconstruct.Result(success=True, objects=object_array(objects, header))

    def _save_scene(self, request: SaveScene.Request, response: SaveScene.Response) -> SaveScene.Response:
        path = Path(request.path).expanduser()
        newest = self._threads.newest
        objects = () if newest is None else newest[1].objects
        try:
            if path.suffix != ".glb":
                raise ValueError(f"path is {request.path!r}: give the name of a file that ends in .glb")
            if self._target_frame:
                response.object_count = write_fixed_scene(path, objects)
            else:
                seen = [(thing.track_id, thing.estimate) for thing in objects]
                response.object_count = write_camera_scene(path, seen)
        except (ValueError, OSError) as error:
            response.message = str(error)
        response.success = not response.message
        return response
