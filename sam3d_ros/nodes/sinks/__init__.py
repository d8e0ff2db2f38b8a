"""Where observations go: messages, frames, markers, scenes and diagnostics; each costs nothing while nobody listens."""
