"""The command line: commands, progress, and what a machine has."""

from hwflow.cli.commands import main

__all__ = ["main"]
