"""The mini-scheduler: a small overlap scheduler and its scenarios, with and without bugs."""
