"""Which channels of which layers depend on each other: torch-pruning's dependency graph, in units.

torch-pruning follows a network's graph from each layer's outputs through batch norm, additions,
concatenations and reshapes (Fang et al. 2023, section 3.2). What it finds is taken as relations
between single channels; channels that are related, over any number of layers, are one unit.
"""

from __future__ import annotations

import contextlib
import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from hwflow.compress.prune.attention import projections
from hwflow.compress.prune.groups import (
    CHANNEL_NORMS,
    CONVOLUTIONS,
    Follower,
    Group,
    Index,
    Kind,
    Member,
    prunable,
)
from hwflow.costs.layers import example_input
from hwflow.errors import RequestError

# What torch-pruning raises of graphs that it was not made for.
_NOT_FOLLOWED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
# One side of a layer; norms have but one, which counts as what they produce.
Side = tuple[str, Literal["out", "in"]]


@dataclass
class Coupled:
    """What depends on each other in a network.

    Attributes:
        groups: units of channels and neurons.
        alone: of layers whose outputs can't be pruned, why.
    """

    groups: list[Group] = field(default_factory=list)
    alone: dict[str, str] = field(default_factory=dict)


def coupled_channels(model: nn.Module, shape: tuple[int, ...]) -> Coupled:
    """Find the channels that depend on each other.

    Args:
        model: float network without parametrizations.
        shape: of one sample.

    Raises:
        RequestError: torch-pruning can't follow them.
    """
    elements = _Elements(model)
    _relate(elements, model, shape)
    return _grouped(elements, model)


class _Elements:
    """Disjoint sets of channels, each a layer's side and a place."""

    def __init__(self, model: nn.Module) -> None:
        self.first: dict[Side, int] = {}
        self.sides: list[Side] = []
        self.widths: dict[Side, int] = {}
        for name, layer in model.named_modules():
            for side, width in _widths(name, layer):
                self.first[side] = len(self.sides)
                self.widths[side] = width
                self.sides += [side] * width
        self.parent = list(range(len(self.sides)))
        # Roots of sets that must stay whole, and why.
        self.whole: dict[int, str] = {}

    def all(self, side: Side) -> range:
        return range(self.first[side], self.first[side] + self.widths[side])

    def root(self, element: int) -> int:
        while self.parent[element] != element:
            self.parent[element] = self.parent[self.parent[element]]
            element = self.parent[element]
        return element

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        if low == high:
            return
        self.parent[high] = low
        if high in self.whole:
            self.whole.setdefault(low, self.whole.pop(high))

    def keep_whole(self, elements: Iterable[int], reason: str) -> None:
        for element in elements:
            self.whole.setdefault(self.root(element), reason)

    def sets(self) -> dict[int, list[int]]:
        by_root: dict[int, list[int]] = defaultdict(list)
        for element in range(len(self.sides)):
            by_root[self.root(element)].append(element)
        return by_root


def _widths(name: str, layer: nn.Module) -> list[tuple[Side, int]]:
    if isinstance(layer, nn.Linear):
        return [((name, "out"), layer.out_features), ((name, "in"), layer.in_features)]
    if isinstance(layer, CONVOLUTIONS):
        return [((name, "out"), layer.out_channels), ((name, "in"), layer.in_channels)]
    if isinstance(layer, CHANNEL_NORMS):
        return [((name, "out"), layer.num_features)]
    if isinstance(layer, nn.PReLU) and layer.num_parameters > 1:
        return [((name, "out"), layer.num_parameters)]
    return []


# ------------------------------------------------------------------------------ relations


def _relate(elements: _Elements, model: nn.Module, shape: tuple[int, ...]) -> None:
    with _followed():
        graph, names, source = _graph(model, shape)
    steps = _Steps.of(graph)
    done = {layer for layers in projections(model) for layer in layers.inputs}
    for layer in done:
        elements.keep_whole(
            elements.all((layer, "out")),
            "it makes the heads of an attention, which go with granularity head",
        )
    for module in list(graph.module2node):
        name = names.get(module)
        if name is None or not prunable(module) or name in done:
            continue
        pruner = graph.get_pruner_of_module(module)
        count = elements.widths[name, "out"]
        steps.taken = 0
        try:
            group = graph.get_pruning_group(module, pruner.prune_out_channels, list(range(count)))
        except _NOT_FOLLOWED as error:
            problem = f"its channels can't be followed ({type(error).__name__}: {error})"
            elements.keep_whole(elements.all((name, "out")), problem)
            continue
        for item in group:
            target = item.dep.target
            reason = _obstacle(target, names, source, item.dep.handler, graph)
            own = [elements.first[name, "out"] + root for root in item.root_idxs]
            if reason is not None:
                elements.keep_whole(own, reason)
            side = _side(item.dep, names, graph)
            if side is None or side not in elements.widths:
                continue
            for channel, element in zip(item.idxs, own, strict=True):
                if 0 <= channel < elements.widths[side]:
                    elements.join(elements.first[side] + channel, element)
                else:
                    elements.keep_whole([element], f"its channels can't be followed to {side[0]}")
            if side[1] == "out" and len(set(item.idxs)) == elements.widths[side]:
                done.add(side[0])
    ran = {names[module] for module in graph.module2node if module in names}
    for where in elements.first:
        if where[1] == "out" and where[0] not in ran:
            elements.keep_whole(elements.all(where), "it does not run as a layer by itself")
    _relate_groups(elements, model)


def _graph(model: nn.Module, shape: tuple[int, ...]) -> tuple[Any, dict[nn.Module, str], Any]:
    """torch-pruning's graph of a copy, the copy's modules' names, and the graph's input."""
    import torch_pruning

    model = copy.deepcopy(model).cpu().eval().requires_grad_(True)
    example = example_input(model, shape)
    # The graph only has what gradients flow to. An input that is a parameter is in it, and what is
    # added to or concatenated with the input is seen as such. Two more dimensions keep
    # torch-pruning from taking it for position embeddings of three.
    source = nn.Parameter(example[..., None, None]) if example.is_floating_point() else None

    def forward(network: nn.Module, _: Any) -> torch.Tensor:
        sample: torch.Tensor = example if source is None else source[..., 0, 0]
        output: torch.Tensor = network(sample)
        return output

    inputs = [] if source is None else [(source, 1)]
    graph = torch_pruning.DependencyGraph()
    with torch.enable_grad():
        graph.build_dependency(model, example, forward, unwrapped_parameters=inputs, verbose=False)
    names = {module: name for name, module in model.named_modules()}
    return graph, names, source


class _Steps:
    """Steps from a layer to what depends on it, whose number has a limit: rotations of half of the
    channels, as in Llama's attention, send torch-pruning round for ever.

    Args:
        limit: steps from one layer.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.taken = limit, 0

    @classmethod
    def of(cls, graph: Any) -> _Steps:
        """Count the steps in a graph: no more than there are nodes and edges."""
        nodes = graph.module2node.values()
        steps = cls(len(nodes) + sum(len(node.dependencies) for node in nodes))
        for node in nodes:
            node.dependencies = _Counted(node.dependencies, steps)
        return steps


class _Counted(list[Any]):
    """A node's dependencies; each look at them is a step."""

    def __init__(self, dependencies: Iterable[Any], steps: _Steps) -> None:
        super().__init__(dependencies)
        self.steps = steps

    def __iter__(self) -> Iterator[Any]:
        self.steps.taken += 1
        if self.steps.taken > self.steps.limit:
            raise LookupError("the way never ends")
        return super().__iter__()


@contextlib.contextmanager
def _followed() -> Iterator[None]:
    """What torch-pruning raises of graphs that it was not made for is an error of the recipe."""
    try:
        yield
    except _NOT_FOLLOWED as error:
        raise RequestError(
            "the network's channels can't be followed from layer to layer: torch-pruning stops with"
            f" {type(error).__name__}: {error}",
            hint="prune with granularity element, block, row or column",
        ) from error


def _side(dep: Any, names: dict[nn.Module, str], graph: Any) -> Side | None:
    """Which side of which layer of the network a dependency is about."""
    module = dep.target.module
    if not isinstance(module, nn.Module) or module not in names:
        return None
    if prunable(module) and not graph.is_out_channel_pruning_fn(dep.handler):
        return names[module], "in"
    return names[module], "out"


def _obstacle(
    node: Any, names: dict[nn.Module, str], source: Any, handler: Any, graph: Any
) -> str | None:
    """Why channels that reach a node must stay, or None."""
    module = node.module
    reads = prunable(module) and not graph.is_out_channel_pruning_fn(handler)
    if not node.outputs and not reads:
        return "it is the network's output"
    if module is source:
        return "it is added to or concatenated with the network's input"
    if isinstance(module, nn.Parameter):
        return "it meets a parameter that belongs to no layer of torch"
    if module not in names or prunable(module):
        return None
    if isinstance(module, (*CHANNEL_NORMS, nn.PReLU)):
        return None
    kind = type(module).__name__
    if isinstance(module, nn.LayerNorm | nn.GroupNorm):
        return f"{names[module]} ({kind}) norms over channels, so that all change when one goes"
    if next(module.parameters(), None) is not None:
        return f"{names[module]} ({kind}) has parameters that can't be taken apart"
    return None


def _relate_groups(elements: _Elements, model: nn.Module) -> None:
    """In a grouped or depthwise convolution, what a group takes in and gives out goes together."""
    for name, layer in model.named_modules():
        if not isinstance(layer, CONVOLUTIONS) or layer.groups == 1:
            continue
        takes, gives = layer.in_channels // layer.groups, layer.out_channels // layer.groups
        for group in range(layer.groups):
            outputs = elements.all((name, "out"))[group * gives : (group + 1) * gives]
            inputs = elements.all((name, "in"))[group * takes : (group + 1) * takes]
            for element in (*outputs, *inputs):
                elements.join(outputs[0], element)


# ------------------------------------------------------------------------------ groups


def _grouped(elements: _Elements, model: nn.Module) -> Coupled:
    """Sets that cover the same layers alike are the units of one group."""
    coupled = Coupled()
    alike: dict[tuple[tuple[Side, int], ...], list[dict[Side, list[int]]]] = defaultdict(list)
    for root, places in elements.sets().items():
        unit: dict[Side, list[int]] = defaultdict(list)
        for element in places:
            side = elements.sides[element]
            unit[side].append(element - elements.first[side])
        producers = [
            name for name, side in unit if side == "out" and prunable(model.get_submodule(name))
        ]
        if root in elements.whole:
            for name in producers:
                coupled.alone.setdefault(name, elements.whole[root])
        elif producers:
            alike[tuple((side, len(of)) for side, of in unit.items())].append(unit)
    used: set[str] = set()
    for units in alike.values():
        group = _group(model, units, used)
        used.add(group.name)
        coupled.groups.append(group)
    return coupled


def _group(model: nn.Module, units: list[dict[Side, list[int]]], used: set[str]) -> Group:
    sides = list(units[0])
    producers = [
        name for name, side in sides if side == "out" and prunable(model.get_submodule(name))
    ]
    convolutions = [n for n in producers if isinstance(model.get_submodule(n), CONVOLUTIONS)]
    kind: Kind = "channel" if convolutions else "neuron"
    # Where one layer's channels fall into several groups, each is named after another of its own.
    fitting = convolutions or producers
    name = next((name for name in fitting if name not in used), fitting[0])
    sides.sort(key=lambda side: (side != (name, "out"), side[1] == "in"))
    members: list[Member] = []
    followers: list[Follower] = []
    for side in sides:
        index = tuple(tuple(unit[side]) for unit in units)
        layer = model.get_submodule(side[0])
        members += _members(side, layer, index)
        if isinstance(layer, CHANNEL_NORMS) and not layer.affine:
            followers.append(Follower(side[0], index))
    return Group(name, len(units), kind, tuple(members), tuple(followers))


def _members(side: Side, layer: nn.Module, index: Index) -> list[Member]:
    name, direction = side
    if direction == "in":
        # A grouped convolution's inputs go with its filters.
        alone = getattr(layer, "groups", 1) == 1
        return [Member(name, "weight", 1, index)] if alone else []
    members = []
    if isinstance(getattr(layer, "weight", None), nn.Parameter):
        members.append(Member(name, "weight", 0, index))
    if isinstance(getattr(layer, "bias", None), nn.Parameter):
        members.append(Member(name, "bias", 0, index))
    return members
