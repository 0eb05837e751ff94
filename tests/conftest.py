"""The same examples in every run: a test that fails fails for everyone, and passes for everyone."""

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None)  # pytest --hypothesis-profile random
settings.load_profile("fixed")
