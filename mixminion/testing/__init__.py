"""Test kit: what our own tests stand on, shipped for those who build on Mixminion."""
