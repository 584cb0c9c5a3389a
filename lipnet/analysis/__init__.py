"""Error rates by group, confusions, words, and weights compared; the report with all of these."""
