"""Batches: their order, the processes that gather them, the memory in which these hand them over."""
