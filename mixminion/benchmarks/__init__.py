"""``python -m mixminion.benchmarks``: how fast, against what the machine could do at best."""
