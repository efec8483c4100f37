"""Which values must be in one scale: those that meet in an addition or a concatenation."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import fx

from hwflow.compress.quantize.tracing import (
    is_concatenation,
    is_join,
    is_relu,
    source,
    upwards,
)


@dataclass
class Group:
    """Values with one quantizer.

    Attributes:
        name: of the quantizer, after the first join.
        relus: outputs of ReLUs.
        values: other values: sums, outputs of layers, batch norms and pools.
    """

    name: str
    relus: list[fx.Node] = field(default_factory=list)
    values: list[fx.Node] = field(default_factory=list)

    @property
    def signed(self) -> bool:
        """Whether a value can be negative."""
        return bool(self.values)


class Sharing:
    """The groups of a network.

    A concatenation is in the group of its inputs, for it passes codes on. A sum is not: its codes
    are wider than those that met in it.

    Args:
        traced: network, standardized.
    """

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self._parent: dict[fx.Node, fx.Node] = {}
        joins = [node for node in traced.graph.nodes if is_join(node)]
        for join in joins:
            members = [self.producer(value) for value in join.all_input_nodes]
            if is_concatenation(join):
                members.append(join)
            for member in members:
                self._unite(members[0], member)
        self._groups: dict[fx.Node, Group] = {}
        self._relus: dict[fx.Node, list[fx.Node]] = {}
        self._of_join: dict[fx.Node, Group] = {}
        for join in joins:
            root = self._root(self.producer(source(join)))
            group = self._groups.setdefault(root, Group(f"{join.name}_quantizer"))
            self._of_join[join] = group
            self._relus[join] = [
                value for value in join.all_input_nodes if is_relu(traced, self.producer(value))
            ]
        for member in self._parent:
            group = self._groups[self._root(member)]
            if is_relu(traced, member):
                group.relus.append(member)
            elif not is_concatenation(member):
                group.values.append(member)

    def producer(self, value: fx.Node) -> fx.Node:
        """What made a value: the first node upwards that changes values."""
        *_, last = upwards(self.traced, value)
        return last

    def met_in(self, join: fx.Node) -> tuple[Group, list[fx.Node]]:
        """The group of what meets in a join, and which of its inputs are outputs of ReLUs."""
        return self._of_join[join], self._relus[join]

    def group(self, value: fx.Node) -> Group | None:
        """The group that a value is in."""
        if value not in self._parent:
            return None
        return self._groups[self._root(value)]

    def _root(self, node: fx.Node) -> fx.Node:
        while self._parent[node] is not node:
            node = self._parent[node]
        return node

    def _unite(self, first: fx.Node, second: fx.Node) -> None:
        for node in (first, second):
            self._parent.setdefault(node, node)
        self._parent[self._root(second)] = self._root(first)
