"""Pad: zeros around images, which a convolution takes over."""

from __future__ import annotations

from dataclasses import replace

from hwflow.exchange.operations.operation import EACH, Operation
from hwflow.exchange.translation.nodes import Activation, Node
from hwflow.exchange.translation.state import Translation


def translate(t: Translation, node: Node) -> Activation:
    """Pad with zeros: remembered, for a convolution to take over."""
    tensor = t.tensor(node)
    rank = len(tensor.shape)
    if node.text("mode", "constant") != "constant":
        raise node.refusal("only padding with zeros is supported", "pad with zeros")
    value = float(node.attributes.get("value", 0.0))
    if node.has(2):
        value = float(t.constants.real(node.inputs[2]).item())
    if value:
        raise node.refusal(f"padding with {value:g} is not supported", "pad with zeros")
    if len(node.inputs) > 1:
        pads = t.constants.integers(node.inputs[1])
    else:
        pads = [int(n) for n in node.attributes.get("pads", node.attributes.get("paddings", ()))]
    if node.has(3):
        raise node.refusal("Pad of named axes is not supported", "give the padding of all axes")
    if any(n < 0 for n in pads):
        raise node.refusal("negative padding is not supported", "pad with zeros")
    added = [0] * 2 * rank
    for position, axis in enumerate(tensor.axes):
        added[axis], added[rank + axis] = pads[position], pads[rank + position]
    before = tensor.pads or (0,) * 2 * rank
    total = tuple(a + b for a, b in zip(before, added, strict=True))
    return replace(tensor, pads=total) if any(total) else tensor


OPERATIONS = (
    Operation(
        ("Pad",),
        reads=frozenset({"mode", "value", "pads", "paddings"}),
        translate=translate,
        batching=EACH,
        keeps_axes=True,
    ),
)
