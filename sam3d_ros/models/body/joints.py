"""Names of the joints of the rig."""

from __future__ import annotations


def _leg(side: str) -> list[str]:
    bones = ("upleg", "lowleg", "foot", "talocrural", "subtalar", "transversetarsal", "ball")
    twists = [f"{side}_lowleg_twist{i}_proc" for i in range(1, 5)] + _upper_twists(side, "upleg")
    return [f"{side}_{bone}" for bone in bones] + twists


def _upper_twists(side: str, limb: str) -> list[str]:
    return [f"{side}_{limb}_twist{i}_proc" for i in range(5)]


def _fingers(side: str) -> list[str]:
    names = [f"{side}_pinky{i}" for i in range(4)] + [f"{side}_pinky_null"]
    for finger in ("ring", "middle", "index"):
        names += [f"{side}_{finger}{i}" for i in range(1, 4)] + [f"{side}_{finger}_null"]
    return names + [f"{side}_thumb{i}" for i in range(4)] + [f"{side}_thumb_null"]


def _arm(side: str) -> list[str]:
    bones = [f"{side}_{bone}" for bone in ("clavicle", "uparm", "lowarm", "wrist_twist", "wrist")]
    twists = [f"{side}_lowarm_twist{i}_proc" for i in range(1, 5)] + _upper_twists(side, "uparm")
    return bones + _fingers(side) + twists


_HEAD = (
    "c_neck", "c_neck_twist1_proc", "c_neck_twist0_proc", "c_head", "c_jaw", "c_teeth", "c_jaw_null",
    "c_tongue0", "c_tongue1", "c_tongue2", "c_tongue3", "c_tongue4", "r_eye", "r_eye_null", "l_eye",
    "l_eye_null", "c_head_null",
)  # fmt: skip

#: Name of each of the 127 joints: l is left, r is right, c is the middle. Joints called `_proc` share the twist
#: of a limb among each other, and those called `_null` end a chain.
JOINT_NAMES: tuple[str, ...] = (
    "body_world",
    "root",
    *_leg("l"),
    *_leg("r"),
    *(f"c_spine{i}" for i in range(4)),
    *_arm("r"),
    *_arm("l"),
    *_HEAD,
)
