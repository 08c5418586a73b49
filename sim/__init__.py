"""Running traces and programs without a GPU: a machine, a device and a scheduler.

Beside ``streamsan.checkers`` and independent of it: neither imports the other.
"""
