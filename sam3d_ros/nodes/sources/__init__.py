"""From topics to frames: one source a process, read by any number of pipelines."""
