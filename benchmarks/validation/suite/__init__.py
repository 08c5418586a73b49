"""The programs of the simulated device's tests, on the device. ``run`` is the part."""
