"""CTC decoders: log-probabilities to text."""
