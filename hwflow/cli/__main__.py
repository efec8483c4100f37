"""`python -m hwflow.cli` is the command `hwflow`."""

from hwflow.cli import main

main()
