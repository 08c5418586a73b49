"""Which copies make the host wait. ``run`` is the part."""
