"""The mix: what comes in, is unwrapped by workers, held in the pool, and goes out."""
