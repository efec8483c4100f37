"""How ranks are chosen: by what stands out from noise, energy, error, cost, or as given.

Whatever the choice, a rank is rounded up to a multiple of a unit, or to its limit (the channels)
where that is less; a budget in cost rounds down.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import torch

from hwflow.compress.decompose.cost import Cost, CostModel
from hwflow.compress.decompose.cp import cp_keeps
from hwflow.compress.decompose.kernel import Kernel
from hwflow.compress.decompose.methods import Method, Ranks
from hwflow.compress.decompose.vbmf import vbmf_rank
from hwflow.recipe.stages.decompose import (
    EnergyRanks,
    Factorization,
    GivenRanks,
    HardwareRanks,
    VbmfRanks,
)


@dataclass(frozen=True)
class Search:
    """What ranks are chosen for.

    Attributes:
        kernel: the weight.
        costs: of the layer and of its factors.
        unit: of ranks.
        seed: of random starts.
        best: cost of the best factors so far.
    """

    kernel: Kernel
    costs: CostModel
    unit: int
    seed: int
    best: Cost | None = None

    def affordable(self, method: Method, ranks: Ranks) -> bool:
        """Whether factors cost less than the layer, and than the best so far."""
        after = self.costs.after(method, ranks)
        return after.is_below(self.costs.before()) and (self.best is None or after < self.best)

    def options(self, method: Method) -> list[list[int]]:
        """The ranks that each way can have, ascending."""
        limits = method.limits(self.kernel.size)
        return [[*range(self.unit, limit, self.unit), limit] for limit in limits]


def choose_ranks(method: Method, policy: Factorization, search: Search) -> Ranks | None:
    """The ranks for a method, by the recipe's rule; None where no rank meets the rule.

    Args:
        method: of decomposition.
        policy: the recipe's.
        search: the weight and its costs.
    """
    rule = policy.ranks
    if isinstance(rule, GivenRanks):
        return _rounded(rule.pair, method, search)
    if isinstance(rule, VbmfRanks):
        ranks = tuple(max(rank, rule.minimum) for rank in noise_ranks(search.kernel))
        return _rounded(ranks, method, search)
    if isinstance(rule, EnergyRanks):
        return _rounded(_by_energy(search.kernel, rule.keep), method, search)
    if isinstance(rule, HardwareRanks):
        return _within_cost(method, search, rule.keep)
    return _within_error(method, search, policy.error)


def _rounded(ranks: Ranks, method: Method, search: Search) -> Ranks:
    """Ranks of (inputs, outputs), or one of both, as the method's, on its unit."""
    inner, outer = ranks[0], ranks[-1]
    of_method = {
        "tucker2": (inner, outer),
        "tucker_in": (inner,),
        "tucker_out": (outer,),
        "cp": (max(inner, outer),),  # no fewer components can have these ranks
        "svd": (min(inner, outer),),
    }[method.name]
    options = search.options(method)
    return tuple(
        ranks[min(bisect_left(ranks, rank), len(ranks) - 1)]
        for rank, ranks in zip(of_method, options, strict=True)
    )


def noise_ranks(kernel: Kernel) -> Ranks:
    """The ranks of inputs and of outputs that stand out from noise; 0 where nothing does."""
    size = kernel.size
    outer = vbmf_rank(kernel.outputs.values, size.outputs, size.inputs * size.taps)
    if size.taps == 1:
        return outer, outer
    return vbmf_rank(kernel.inputs.values, size.inputs, size.outputs * size.taps), outer


def _by_energy(kernel: Kernel, keep: float) -> Ranks:
    return tuple(
        _first(basis.tails <= (1 - keep) * basis.tails[0] * (1 + 1e-12))
        for basis in (kernel.inputs, kernel.outputs)
    )


def _first(true: torch.Tensor) -> int:
    """Place of the first true element; the last where there is none."""
    places = true.nonzero()
    return int(places[0]) if len(places) else len(true) - 1


# ------------------------------------------------------------------------------ by error budget


def _within_error(method: Method, search: Search, error: float) -> Ranks | None:
    """The cheapest ranks whose error is within a budget."""
    if method.name == "tucker2":
        pairs = _pairs_within(search, search.options(method), error)
        return min(pairs, key=lambda pair: search.costs.after(method, pair), default=None)
    (options,) = search.options(method)
    least = _least_rank(method, search.kernel, error)
    options = [rank for rank in options if rank >= least]
    if method.name != "cp":
        return (options[0],) if options else None

    def keeps(rank: int) -> bool:
        return cp_keeps(search.kernel, rank, error, search.seed)

    options = [rank for rank in options if search.affordable(method, (rank,))]
    # The greatest first: where that does not keep the budget, the others need no trial.
    if not options or not keeps(options[-1]):
        return None
    return (options[bisect_left(options[:-1], True, key=keeps)],)


def _least_rank(method: Method, kernel: Kernel, error: float) -> int:
    """The least rank whose error can be within a budget; exact but for CP, of which it is a bound
    from below, since its unfoldings have at most its rank."""
    bases = {"tucker_in": [kernel.inputs], "tucker_out": [kernel.outputs]}
    allowed = error**2 * kernel.square
    return max(
        _first(basis.tails <= allowed)
        for basis in bases.get(method.name, [kernel.outputs, kernel.inputs])
    )


def _pairs_within(
    search: Search, options: list[list[int]], error: float
) -> Iterable[tuple[int, int]]:
    """For each output rank the least input rank with which HOSVD keeps the budget."""
    kernel = search.kernel
    inner, outer = options
    needed = (1 - error**2) * kernel.square
    for rank_out in outer:
        energies = kernel.kept[rank_out, inner].tolist()
        index = bisect_left(energies, needed)
        if index < len(inner):
            yield inner[index], rank_out


# ------------------------------------------------------------------------------- by cost budget


def _within_cost(method: Method, search: Search, keep: float) -> Ranks | None:
    """The ranks of least error whose cost is within a share of the layer's."""
    before = search.costs.before()

    def fits(ranks: Ranks) -> bool:
        after = search.costs.after(method, ranks)
        return after.value <= keep * before.value and after.is_below(before)

    options = search.options(method)
    if method.name != "tucker2":
        return next(((rank,) for rank in reversed(options[0]) if fits((rank,))), None)
    # Error falls as either rank grows: the greatest input rank that fits, for each output rank.
    pairs: list[tuple[int, int]] = []
    for rank_out in options[1]:
        fitting = (rank for rank in reversed(options[0]) if fits((rank, rank_out)))
        pairs += [(rank_in, rank_out) for rank_in in islice(fitting, 1)]
    energies = search.kernel.kept
    return max(pairs, key=lambda pair: float(energies[pair[1], pair[0]]), default=None)
