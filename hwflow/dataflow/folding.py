"""Folding: how many multipliers each layer gets, and so how many cycles a frame takes.

A layer of MH neurons with MW inputs computes PE neurons and SIMD inputs of each at a time and
needs (MH / PE)(MW / SIMD) cycles a frame; the slowest layer is the bound of the whole pipeline
(Blott et al. 2018, section 4.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.costs import Folding, divisors
from hwflow.errors import HwflowError, RequestError
from hwflow.yaml_source import load_yaml, nearest

LINEAR = ("MVAU_rtl", "XnorMVAU_rtl")


def layer_cycles(model: ModelWrapper) -> dict[str, int]:
    """Cycles that each layer needs for a frame, from its folding."""
    return {node.name: int(getCustomOp(node).get_exp_cycles()) for node in model.graph.node}


def fold_for_cycles(model: ModelWrapper, cycles: int) -> None:
    """Give every layer the least parallelism with which a frame takes at most `cycles`.

    Among the foldings of a linear layer that meet the bound, the one with the fewest multipliers
    is taken; among those, one whose input stream is a whole multiple or fraction of the stream
    that feeds it, for then the width converter between them is small; then the one that reads
    more inputs and makes fewer outputs at a time, for the thresholds are copied for each output.

    Raises:
        HwflowError: not even full parallelism is fast enough.
    """
    stream = 0
    for node in model.graph.node:
        layer = getCustomOp(node)
        if node.op_type in LINEAR:
            choice = _fold_linear(layer, node.name, cycles, stream)
            layer.set_nodeattr("PE", choice.pe)
            layer.set_nodeattr("SIMD", choice.simd)
        else:
            producer = model.find_producer(node.input[0])
            pe = _least(node.name, _channels(layer), cycles)
            if producer is not None and node.op_type == "Thresholding_rtl":
                pe = max(pe, getCustomOp(producer).get_nodeattr("PE"))
            layer.set_nodeattr("PE", pe)
        stream = layer.get_nodeattr("PE")


def _channels(layer: Any) -> int:
    attributes = layer.get_nodeattr_types()
    return int(layer.get_nodeattr("NumChannels" if "NumChannels" in attributes else "Labels"))


def _least(name: str, size: int, cycles: int) -> int:
    for pe in divisors(size):
        if size // pe <= cycles:
            return pe
    raise HwflowError(
        f"{name} can't reach {cycles} cycles a frame", hint="lower hardware.target_fps"
    )


def _fold_linear(layer: Any, name: str, cycles: int, stream: int) -> Folding:
    mw, mh = layer.get_nodeattr("MW"), layer.get_nodeattr("MH")

    def candidates() -> Iterator[tuple[tuple[int, bool, int], Folding]]:
        for pe in divisors(mh):
            for simd in divisors(mw):
                if (mh // pe) * (mw // simd) <= cycles:
                    matched = not stream or stream % simd == 0 or simd % stream == 0
                    yield (pe * simd, not matched, pe), Folding(pe, simd)

    found = min(candidates(), key=lambda c: c[0], default=None)
    if found is None:
        raise HwflowError(
            f"{name} can't reach {cycles} cycles a frame", hint="lower hardware.target_fps"
        )
    return found[1]


def fold_from_file(model: ModelWrapper, path: Path) -> None:
    """Fold as a YAML file says: `layer: {pe: N, simd: N}`; layers left out get 1.

    Raises:
        RequestError: the file names no layer of the network, or a number that divides nothing.
    """
    source = load_yaml(path)
    wanted = source.data
    names = [node.name for node in model.graph.node]
    for name in wanted:
        if name not in names:
            raise RequestError(
                f"{source.place((name,))}: the network has no layer {name!r}",
                hint=nearest(str(name), names),
            )
    for node in model.graph.node:
        layer = getCustomOp(node)
        sizes = _sizes(layer, node.op_type)
        given = wanted.get(node.name) or {}
        if not isinstance(given, dict):
            raise RequestError(
                f"{source.place((node.name,))}: is {given!r}, not `pe: N, simd: N`",
                hint=f"it folds by {', '.join(sizes)}",
            )
        for key, value in given.items():
            if key not in sizes:
                raise RequestError(
                    f"{source.place((node.name, key))}: {node.name} has no {key!r}",
                    hint=f"it folds by {', '.join(sizes)}",
                )
            if not isinstance(value, int) or value < 1 or sizes[key] % value:
                raise RequestError(
                    f"{source.place((node.name, key))}: {key} of {node.name} is {value!r}, which"
                    f" does not divide {sizes[key]}",
                    hint=f"one of {', '.join(map(str, divisors(sizes[key])))}",
                )
        for key in sizes:
            layer.set_nodeattr(key.upper(), given.get(key, 1))


def _sizes(layer: Any, op: str) -> dict[str, int]:
    if op in LINEAR:
        return {"pe": layer.get_nodeattr("MH"), "simd": layer.get_nodeattr("MW")}
    return {"pe": _channels(layer)}
