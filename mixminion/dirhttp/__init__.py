"""Directory documents over HTTP: kept, served and fetched."""
