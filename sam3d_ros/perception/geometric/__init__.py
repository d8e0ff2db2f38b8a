"""Reconstruction without weights: carving by what one view sees, completed by symmetry and support."""
