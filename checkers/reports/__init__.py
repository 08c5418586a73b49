"""How findings are told: text, one line each, JSON; and all that a run of ``lint`` needs for it."""
