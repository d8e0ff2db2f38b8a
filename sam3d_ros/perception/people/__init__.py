"""From a frame to tracked and posed people."""
