"""Bugs made to show themselves by delays. ``run`` is the part."""
