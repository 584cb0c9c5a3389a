"""Conversion of weights that other repositories published."""
