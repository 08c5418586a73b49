"""The simulated device: torch programs run on it as they would on a CUDA device."""
