"""Additions to hwflow."""
