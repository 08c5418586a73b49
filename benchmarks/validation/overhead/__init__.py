"""The price of recording. ``run`` is the part."""
