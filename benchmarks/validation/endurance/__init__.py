"""Thousands of steps, recorded. ``run`` is the part."""
