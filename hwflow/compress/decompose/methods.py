"""The methods of decomposition: what ranks they have, what layers they leave, what these cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwflow.compress.decompose.cp import cp
from hwflow.compress.decompose.factors import Factors
from hwflow.compress.decompose.kernel import Dimensions, Kernel
from hwflow.compress.decompose.svd import svd
from hwflow.compress.decompose.tucker import tucker2, tucker_in, tucker_out

Ranks = tuple[int, ...]


@dataclass(frozen=True)
class FactorShape:
    """A factor as a layer.

    Attributes:
        outputs, inputs: channels.
        taps: kernel positions; those of the layer, or 1.
        depthwise: whether each channel is on its own.
        before: whether it runs at the layer's input resolution, ahead of its stride.
    """

    outputs: int
    inputs: int
    taps: int = 1
    depthwise: bool = False
    before: bool = False


@dataclass(frozen=True)
class Method:
    """A way to decompose a weight.

    Attributes:
        name: as in the recipe.
        limits: the greatest rank in each of its ways.
        shapes: of the factors, in order of use.
        factorize: the factors of a kernel at some ranks; the last argument is a seed.
    """

    name: str
    limits: Callable[[Dimensions], Ranks]
    shapes: Callable[[Dimensions, Ranks], tuple[FactorShape, ...]]
    factorize: Callable[[Kernel, Ranks, int], Factors]


def _tucker2_shapes(size: Dimensions, ranks: Ranks) -> tuple[FactorShape, ...]:
    rank_in, rank_out = ranks
    return (
        FactorShape(rank_in, size.inputs, before=True),
        FactorShape(rank_out, rank_in, size.taps),
        FactorShape(size.outputs, rank_out),
    )


def _tucker_in_shapes(size: Dimensions, ranks: Ranks) -> tuple[FactorShape, ...]:
    (rank,) = ranks
    return (
        FactorShape(rank, size.inputs, before=True),
        FactorShape(size.outputs, rank, size.taps),
    )


def _tucker_out_shapes(size: Dimensions, ranks: Ranks) -> tuple[FactorShape, ...]:
    (rank,) = ranks
    return FactorShape(rank, size.inputs, size.taps), FactorShape(size.outputs, rank)


def _cp_shapes(size: Dimensions, ranks: Ranks) -> tuple[FactorShape, ...]:
    (rank,) = ranks
    return (
        FactorShape(rank, size.inputs, before=True),
        FactorShape(rank, rank, size.taps, depthwise=True),
        FactorShape(size.outputs, rank),
    )


def _svd_shapes(size: Dimensions, ranks: Ranks) -> tuple[FactorShape, ...]:
    (rank,) = ranks
    return FactorShape(rank, size.inputs), FactorShape(size.outputs, rank)


METHODS = {
    method.name: method
    for method in (
        Method(
            "tucker2",
            lambda size: (size.inputs, size.outputs),
            _tucker2_shapes,
            lambda kernel, ranks, seed: tucker2(kernel, *ranks),
        ),
        Method(
            "tucker_in",
            lambda size: (size.inputs,),
            _tucker_in_shapes,
            lambda kernel, ranks, seed: tucker_in(kernel, *ranks),
        ),
        Method(
            "tucker_out",
            lambda size: (size.outputs,),
            _tucker_out_shapes,
            lambda kernel, ranks, seed: tucker_out(kernel, *ranks),
        ),
        Method(
            "cp",
            lambda size: (min(size.outputs, size.inputs) * size.taps,),
            _cp_shapes,
            lambda kernel, ranks, seed: cp(kernel, ranks[0], seed),
        ),
        Method(
            "svd",
            lambda size: (min(size.outputs, size.inputs),),
            _svd_shapes,
            lambda kernel, ranks, seed: svd(kernel, *ranks),
        ),
    )
}


def methods_for(asked: str, size: Dimensions) -> list[Method]:
    """The methods that a recipe's `method` means for a layer; a matrix has the SVD only.

    Args:
        asked: the recipe's word.
        size: of the layer's weight.
    """
    if asked == "none":
        return []
    if size.taps == 1:
        return [METHODS["svd"]]
    if asked == "auto":
        return [METHODS[name] for name in ("tucker_in", "tucker_out", "tucker2", "cp")]
    return [] if asked == "svd" else [METHODS[asked]]
