"""The synthesis."""

from hwflow.facts import Facts
from hwflow.facts.resources import Resources


class SynthesisFacts(Facts):
    """Resources of each node's netlist, and the tool that made them."""

    nodes: dict[str, Resources]
    tool: str
