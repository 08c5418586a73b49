"""The machine that runs traces: explores their schedules and replays witnesses."""
