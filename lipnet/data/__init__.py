"""Corpora on disk, stored crops, datasets and batches."""
