"""Helpers of all packages: command lines, atomic file writes, prefetching, worker processes."""
