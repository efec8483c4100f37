"""What becomes of each layer: its cheapest decomposition, or why it stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

from hwflow.compress.decompose.candidates import Candidate
from hwflow.compress.decompose.cost import Cost, CostModel, Use
from hwflow.compress.decompose.factors import Factors
from hwflow.compress.decompose.kernel import Kernel
from hwflow.compress.decompose.methods import Method, Ranks, methods_for
from hwflow.compress.decompose.ranks import Search, choose_ranks
from hwflow.costs import Target
from hwflow.errors import HwflowError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Decomposition:
    """A layer's decomposition.

    Attributes:
        method: its name.
        ranks: of each of its ways.
        factors: the weights.
        before, after: cost of the layer and of its factors.
    """

    method: str
    ranks: Ranks
    factors: Factors
    before: Cost
    after: Cost


def plan_layer(
    candidate: Candidate, layer_uses: list[Use], unit: int, target: Target, seed: int
) -> Decomposition | str:
    """The cheapest decomposition that the recipe allows, or the reason why the layer stays.

    Args:
        candidate: the layer and its policy.
        layer_uses: of the layer in a frame.
        unit: of ranks.
        target: of the hardware, for costs.
        seed: of random starts.

    Raises:
        HwflowError: the layer's weight is not finite.
    """
    policy = candidate.policy
    if not torch.isfinite(candidate.layer.weight).all():
        raise HwflowError(
            f"{candidate.name} has weights that are not finite",
            hint="lower learning_rate in the stage before",
        )
    kernel = Kernel(candidate.layer.weight)
    costs = CostModel(policy.cost, kernel.size, layer_uses, target)
    best, reasons = None, []
    for method in methods_for(policy.method, kernel.size):
        search = Search(kernel, costs, unit, seed, None if best is None else best.after)
        ranks = choose_ranks(method, policy, search)
        if ranks is None or not search.affordable(method, ranks):
            reasons.append(_too_costly(method, ranks, search))
            continue
        factors = method.factorize(kernel, ranks, seed)
        if policy.method == "auto" and factors.error > policy.error:
            reasons.append(f"{method.name}: error {factors.error:.3f} is above {policy.error}")
            continue
        best = Decomposition(
            method.name, ranks, factors, costs.before(), costs.after(method, ranks)
        )
    return "; ".join(reasons) if best is None else best


def _too_costly(method: Method, ranks: Ranks | None, search: Search) -> str:
    if ranks is None:
        return f"{method.name}: no rank keeps the budget"
    after, before = search.costs.after(method, ranks), search.costs.before()
    listed = ", ".join(map(str, ranks))
    return (
        f"{method.name}: rank {listed} would cost {after.value} and {after.macs} MACs,"
        f" not less than {before.value} and {before.macs}"
    )


def in_parallel(
    work: Callable[[Item], Result], items: Sequence[Item], size: Callable[[Item], int]
) -> Iterator[Result]:
    """Results in order; each item on one thread, as many at a time as torch has threads.

    Decompositions are chains of small steps. Threads that share one step wait for each other more
    than they work; threads that have a layer each don't, and the number of threads changes no bit.
    The items of the greatest `size` begin first, so that no long one is left for the end.
    """
    threads = torch.get_num_threads()
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        largest_first = sorted(range(len(items)), key=lambda index: -size(items[index]))
        begun = {index: pool.submit(work, items[index]) for index in largest_first}
        try:
            yield from (begun[index].result() for index in range(len(items)))
        finally:
            pool.shutdown(cancel_futures=True)
