"""The network, its parts, its checkpoints and conversions."""
