"""Video frames -> face landmarks -> mouth crops."""
