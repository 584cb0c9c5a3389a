"""LipNet: sentences read off silent videos of a speaker's mouth (Assael et al. 2016)."""

__version__ = "0.1.0"
