"""The same examples in every run: a test that fails fails for everyone, and passes for everyone."""

import os

from hypothesis import settings

# NumPy is not loaded yet. As the bin's own teaching has it: threads that wait for each other spin,
# and on a busy machine a lesson takes ten times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)  # pytest --hypothesis-profile random
# for `make test-arm64`, where everything takes twenty times as long
settings.register_profile("few", derandomize=True, deadline=None, max_examples=5)
settings.load_profile("fixed")
