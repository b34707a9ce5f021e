"""Small things every room may use: times, host and port, armor."""
