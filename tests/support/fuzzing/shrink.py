"""From a case that fails to a simpler one that fails in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.support.fuzzing.case import Case

# What numbers are made smaller to; others than these, and than seeds, are 0.
LEAST = {
    **dict.fromkeys(("width", "weight_bits", "activation_bits", "input_bits", "features"), 1),
    **dict.fromkeys(("shape", "kernel", "stride", "dilation", "frames"), 1),
    "classes": 2,
    "top_k": 1,
}
SIMPLEST = {"head": "flatten", "mvau": "lut", "weight_scaling": "per_tensor", "folding": None}
# In the order in which they are tried: a block that is made a simpler one keeps its place.
BLOCKS = ("pointwise", "conv")
KEPT = frozenset({"seed", "rtl"})
LISTS = frozenset({"blocks", "hidden"})


def shrink(case: Case, fails: Callable[[Case], bool], attempts: int = 200) -> Case:
    """Make a case simpler as long as it fails in the same way.

    Greedy: fewer layers, then smaller sizes, fewer bits and simpler options, each as soon as it
    is found to fail still.

    Args:
        case: fails.
        fails: whether a case fails in the same way.
        attempts: cases to try at most.
    """
    data = case.as_json()
    while attempts:
        for candidate in simpler(data):
            attempts -= 1
            if fails(Case.from_json(candidate)):
                data = candidate
                break
            if not attempts:
                break
        else:
            break
    return Case.from_json(data)


def simpler(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Cases that differ in one thing, the simplest first."""
    yield from ({**data, "network": network} for network in _shorter(data["network"]))
    for key in ("folding", "mvau", "source", "sink", "frames", "top_k"):
        yield from ({**data, key: value} for value in _values(key, data[key]))
    yield from ({**data, "network": network} for network in _smaller(data["network"]))


def _shorter(network: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Without one of its layers."""
    for key in LISTS & network.keys():
        layers = network[key]
        for index in range(len(layers) if isinstance(layers, list | tuple) else 0):
            yield {**network, key: [*layers[:index], *layers[index + 1 :]]}


def _smaller(network: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """With one number smaller, or one option simpler."""
    for key, value in network.items():
        if key in LISTS and isinstance(value, list | tuple):
            for index, layer in enumerate(value):
                for changed in _smaller(layer):
                    yield {**network, key: [*value[:index], changed, *value[index + 1 :]]}
        elif key not in KEPT:
            yield from ({**network, key: changed} for changed in _values(key, value))


def _values(key: str, value: Any) -> Iterator[Any]:
    """Simpler values of an option, the simplest first."""
    if isinstance(value, list | tuple):
        for index, number in enumerate(value):
            for smaller in _values(key, number):
                yield [*value[:index], smaller, *value[index + 1 :]]
    elif key == "kind":
        known = BLOCKS.index(value) if value in BLOCKS else len(BLOCKS)
        yield from BLOCKS[:known]
    elif key in SIMPLEST:
        if value != SIMPLEST[key]:
            yield SIMPLEST[key]
    elif isinstance(value, bool):
        if value:
            yield False
    elif isinstance(value, int):
        least = LEAST.get(key, 0)
        yield from sorted({least, (least + value) // 2, value - 1} & set(range(least, value)))
