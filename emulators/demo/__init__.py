"""The main job from end to end, on the emulators: `python -m emulators.demo`."""
