"""The `sam3d-ros` command."""
