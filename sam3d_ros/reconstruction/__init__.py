"""Which reconstructor there is, and how frames and the networks meet."""
