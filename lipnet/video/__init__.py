"""Video: decoding, encoding, audio and live sources."""
