"""Procedural RGB-D and LiDAR scenes with exact ground truth."""
