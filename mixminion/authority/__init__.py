"""A directory authority: whom it lists, what it votes, how authorities come to agree."""
