"""Objects that keep their id from frame to frame."""
