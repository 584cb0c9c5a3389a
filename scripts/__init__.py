"""Command-line programs. ``pip install`` makes this folder the package ``lipnet.scripts``."""
