"""Random transforms, sound or with a defect that is planted on purpose."""

from __future__ import annotations

from geometry_msgs.msg import Transform, TransformStamped
from numpy.random import Generator

from sam3d_ros.ros.faults import Fault
from sam3d_ros.ros.stamps import header_message

#: A frame whose transform to the camera is fuzzed.
FRAME = "fuzzed"
NO_NUMBERS = (float("nan"), float("inf"), float("-inf"))


def draw_transform(rng: Generator, stamp: int) -> tuple[TransformStamped, frozenset[Fault | None], str]:
    """A transform of `FRAME` in the frame `camera`, how a look-up at its stamp ends, and what is wrong with it.

    tf2 itself drops transforms that are none, so that a sound one from before may answer.
    """
    quaternion = rng.normal(0.0, 1.0, 4)
    quaternion /= (quaternion**2).sum() ** 0.5
    message = TransformStamped(header=header_message(stamp, "camera"), child_frame_id=FRAME)
    transform: Transform = message.transform
    t, q = transform.translation, transform.rotation
    q.x, q.y, q.z, q.w = quaternion.tolist()
    t.x, t.y, t.z = rng.normal(0.0, 2.0, 3).tolist()
    refused = frozenset({Fault.INVALID_TRANSFORM, Fault.MISSING_TRANSFORM, Fault.OLD_TRANSFORM, None})
    ends: frozenset[Fault | None] = frozenset({None})
    defect = str(rng.choice(["none", "none", "no number", "quaternion", "far", "names", "loop", "stamp"]))
    if defect == "no number":
        holder, name = [(t, "x"), (t, "z"), (q, "y"), (q, "w")][rng.integers(4)]
        setattr(holder, name, float(rng.choice(NO_NUMBERS)))
        ends = refused
    elif defect == "quaternion":
        scale = float(rng.choice([0.0, 1e-200, 1e200, 3.0]))
        q.x, q.y, q.z, q.w = (scale * quaternion).tolist()
        ends = refused
    elif defect == "far":
        t.y = float(rng.choice([1e10, -1e100, 1e308]))
        ends = frozenset({Fault.INVALID_TRANSFORM})
    elif defect == "names":
        message.header.frame_id = str(rng.choice(["", "/", " ", "é", FRAME, "x" * 1000]))
        ends = refused
    elif defect == "loop":
        message.header.frame_id, message.child_frame_id = FRAME, "camera"
        ends = refused
    elif defect == "stamp":
        message.header = header_message(
            int(rng.choice([0, 1, -(2**31) * 10**9, (2**31 - 1) * 10**9])), "camera"
        )
        ends = refused
    return message, ends, f"transform: {defect}"
