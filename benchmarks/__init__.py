"""Measurements as ratios: ours and a reference, taken in turn in one run, because machines are noisy.

``python -m benchmarks`` runs all of them; see ``docs/benchmarks.md``.
"""
