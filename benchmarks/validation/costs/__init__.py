"""What a fix was predicted to save, and what it saves. ``run`` is the part."""
