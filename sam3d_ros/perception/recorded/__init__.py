"""Frames and evidence in files."""
