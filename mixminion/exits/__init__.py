"""Where messages leave the network: plugins, and what every exit has in common."""
