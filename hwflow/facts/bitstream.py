"""The bitstream."""

from hwflow.facts import Facts


class BitstreamFacts(Facts):
    """The bitstream's file, relative to the run directory, what made it, and the clock it bears."""

    path: str
    tool: str
    fmax_mhz: float
