"""From a frame to judged, tracked objects."""
