"""The child's monitor threads: telemetry, heartbeats, health of the host."""
