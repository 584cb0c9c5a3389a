"""Rendered speakers who say GRID sentences."""
