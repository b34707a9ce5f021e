"""The tests, in the same tree as what they test; ``integration`` needs foreign servers."""

from hypothesis import settings

# Every run tries the same examples, without a time limit: a failure is a defect, not the weather.
settings.register_profile("mixminion", deadline=None, derandomize=True, database=None)
settings.load_profile("mixminion")
