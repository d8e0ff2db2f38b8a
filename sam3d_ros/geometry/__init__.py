"""Frames, similarity transforms, cameras, point maps and meshes."""
