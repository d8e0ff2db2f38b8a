"""The reconstructors there are, by name."""

from __future__ import annotations

from sam3d_ros.perception.reconstructor import Reconstructor

#: Values of the parameter `reconstructor`.
RECONSTRUCTORS = ("geometric",)


def make_reconstructor(name: str) -> Reconstructor:
    """The reconstructor of a name, with its default parameters.

    Raises:
        ValueError: there is none of this name; the message lists the choices.
    """
    if name == "geometric":
        # Imported here, so that who asks only for the names does not wait for Open3D and scikit-image.
        from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor

        return GeometricReconstructor()
    raise ValueError(f"reconstructor {name!r} is unknown: use one of {', '.join(RECONSTRUCTORS)}")
