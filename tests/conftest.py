"""Hypothesis profiles: ``pytest --hypothesis-profile=nightly`` attacks the laws 10,000 times each."""

from hypothesis import settings

settings.register_profile("steward", deadline=None)
settings.register_profile("nightly", deadline=None, max_examples=10_000)
settings.load_profile("steward")
