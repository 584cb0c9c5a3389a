"""CTC log-probabilities -> text."""
