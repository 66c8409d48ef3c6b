"""Hypothesis profiles: in CI the laws of retention are attacked 500 times each.

``pytest --hypothesis-profile=nightly --timeout=0`` attacks every law 10,000 times.
"""

import os

from hypothesis import settings

settings.register_profile("steward", deadline=None)
settings.register_profile("ci", deadline=None, print_blob=True)
settings.register_profile("nightly", deadline=None, max_examples=10_000)
settings.load_profile("ci" if os.environ.get("CI") else "steward")
