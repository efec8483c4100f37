"""The generated RTL."""

from hwflow.facts import Facts
from hwflow.facts.resources import Resources


class RtlFacts(Facts):
    """An RTL project with sized FIFOs.

    Attributes:
        depths: see `simulate.sizing.Sized`.
        bound_cycles: cycles a frame of the slowest node, converters included.
        cycles_per_frame: measured with these FIFOs.
        estimates: each node's own estimate of its resources.
    """

    depths: dict[str, int]
    bound_cycles: int
    cycles_per_frame: float
    estimates: dict[str, Resources]
