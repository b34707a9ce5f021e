"""The examples of the guides, run as their readers would run them."""
