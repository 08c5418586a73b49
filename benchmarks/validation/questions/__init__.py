"""What the documents leave open. ``run`` is the part."""
