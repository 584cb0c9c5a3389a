"""Synthetic speakers who say GRID sentences."""
