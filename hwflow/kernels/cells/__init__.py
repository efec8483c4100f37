"""Small modules that kernels are made of; every kernel has them at hand."""

from pathlib import Path

SOURCES = tuple(sorted(Path(__file__).parent.glob("*.sv")))
