"""The sender's side: compose, choose a path, build, keep, hand over."""
