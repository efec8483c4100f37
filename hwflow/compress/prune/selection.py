"""Which units stay: by scores, thresholds, budgets and floors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from hwflow.compress.prune.budgets import CompactCosts
from hwflow.compress.prune.gates import HardConcreteGates
from hwflow.compress.prune.masks import tile_means
from hwflow.compress.prune.plan import Plan, Subject
from hwflow.compress.prune.removal import multiple
from hwflow.errors import RequestError
from hwflow.recipe import Prune
from hwflow.recipe.stages.prune import RANKING

Pool = Sequence[Subject]
# Numbers of units of a pool's subjects, of a share of all its units.
Allotment = Callable[[float], list[int]]


class Selector:
    """Sets the gates' masks.

    Args:
        plan: what is pruned.
        model: its network, masked or not.
        settings: the stage's.
        costs: of the groups; None: no budget is of hardware.

    Raises:
        RequestError: the budget can't be met, whatever goes.
    """

    def __init__(
        self, plan: Plan, model: nn.Module, settings: Prune, costs: CompactCosts | None
    ) -> None:
        self.plan, self.model, self.settings, self.costs = plan, model, settings, costs
        self.floors = {
            id(s): self._rounded(s, max(1, math.ceil(settings.floor * s.size)))
            for s in plan.subjects
        }
        for pool in plan.pools:
            if costs is not None and pool[0].selection.budget.of != "density":
                self._check_reach(pool, costs)

    @torch.no_grad()
    def __call__(self, progress: float) -> None:
        """Keep units.

        Args:
            progress: of the schedule; thresholds are from 0 to `threshold`, what is to be kept from
                1 to the budget's share.
        """
        for pool in self.plan.pools:
            self._select(pool, progress)

    def counts(self) -> dict[str, int]:
        """How many units of each subject are kept."""
        return {s.name: int(s.gates.keep.sum()) for s in self.plan.subjects}

    # ------------------------------------------------------------------------------ by method

    def _select(self, pool: Pool, progress: float) -> None:
        chosen = pool[0].selection
        if chosen.method == "l0":
            for subject in pool:
                self._keep_open(subject, progress)
        elif chosen.method in {"threshold", "sigmoid_threshold"}:
            for subject in pool:
                self._keep_above(subject, progress * chosen.threshold)
        elif chosen.granularity == "n_of_m":
            for subject in pool:
                self._keep_of_m(subject, progress)
        else:
            self._keep_best(pool, progress)

    def _keep_open(self, subject: Subject, progress: float) -> None:
        """Gates that open close by themselves; floors and units count at the end."""
        gates = subject.gates
        assert isinstance(gates, HardConcreteGates)
        gates.forced.fill_(False)
        if progress < 1:
            gates.keep.fill_(True)
            return
        is_open = gates.value() > 0
        self._keep_top(subject, gates.scores, int(is_open.sum()))
        gates.forced.copy_(gates.keep & ~is_open)

    def _keep_above(self, subject: Subject, threshold: float) -> None:
        scores: torch.Tensor = subject.gates.scores
        if subject.selection.method == "sigmoid_threshold":
            scores = torch.sigmoid(scores)
        self._keep_top(subject, scores, int((scores > threshold).sum()))

    def _keep_of_m(self, subject: Subject, progress: float) -> None:
        """Of each M inputs in a row the best: M at the beginning, N at the end."""
        n, m = subject.selection.n_of_m
        count = n + math.ceil((m - n) * (1 - progress))
        scores = self._scores(subject)
        rows = torch.unflatten(scores.transpose(1, -1), -1, (-1, m))
        keep = torch.zeros_like(rows, dtype=torch.bool)
        keep.scatter_(-1, rows.topk(count, -1).indices, True)
        subject.gates.keep.copy_(keep.flatten(-2).transpose(1, -1))

    def _keep_best(self, pool: Pool, progress: float) -> None:
        scores = [self._scores(subject) for subject in pool]
        counts = self._counts(pool, scores, progress)
        for subject, subject_scores, count in zip(pool, scores, counts, strict=True):
            self._keep_top(subject, subject_scores, count)

    def _keep_top(self, subject: Subject, scores: torch.Tensor, count: int) -> None:
        """Keep the `count` units of the highest scores, or as many as must stay."""
        count = max(self._rounded(subject, count), self.floors[id(subject)])
        if count == subject.size:
            subject.gates.keep.fill_(True)
            return
        keep = torch.zeros(subject.size, dtype=torch.bool, device=scores.device)
        keep[scores.flatten().topk(count, sorted=False).indices] = True
        subject.gates.keep.copy_(keep.reshape(scores.shape))

    # ------------------------------------------------------------------------------ by budget

    def _counts(self, pool: Pool, scores: Sequence[torch.Tensor], progress: float) -> list[int]:
        budget = pool[0].selection.budget
        share = 1 - (1 - budget.keep) * progress
        by_rank = budget.scope == "global"
        allot = _global_allotment(scores) if by_rank else _local_allotment(pool)
        if budget.of == "density":
            return allot(share)
        assert self.costs is not None
        limit = share * self.costs.dense(budget.of)
        counts = self._affordable(pool, allot, self.costs, limit)
        if by_rank:
            return self._topped_up(pool, scores, counts, self.costs, limit)
        return counts

    def _affordable(
        self, pool: Pool, allot: Allotment, costs: CompactCosts, limit: float
    ) -> list[int]:
        """The most units, by bisection, whose compact network costs no more than a limit.

        What bisection takes as its lower end has always been found to meet the budget, so that its
        result does, even where costs are no monotone function of the units.
        """
        total = sum(subject.size for subject in pool)
        low, high = 0, total + 1
        while high - low > 1:
            middle = (low + high) // 2
            if self._cost(pool, allot(middle / total), costs) <= limit:
                low = middle
            else:
                high = middle
        return allot(low / total)

    def _topped_up(
        self,
        pool: Pool,
        scores: Sequence[torch.Tensor],
        counts: Sequence[int],
        costs: CompactCosts,
        limit: float,
    ) -> list[int]:
        """More units where a group's next ones still fit, the best scores first.

        Groups grow by steps that leave widths multiples of `unit`: one that no longer fits ends the
        bisection, while another one would.
        """
        ranked = [tensor.flatten().sort(descending=True).values.tolist() for tensor in scores]
        units = [
            max(self._rounded(s, count), self.floors[id(s)])
            for s, count in zip(pool, counts, strict=True)
        ]
        open_ = {index for index, subject in enumerate(pool) if units[index] < subject.size}
        while open_:
            index = max(open_, key=lambda n: (ranked[n][units[n]], -n))
            more = list(units)
            more[index] = self._rounded(pool[index], units[index] + 1)
            if self._cost(pool, more, costs) <= limit:
                units = more
            else:
                open_.remove(index)
            if units[index] == pool[index].size:
                open_.discard(index)
        return units

    def _cost(self, pool: Pool, counts: Sequence[int], costs: CompactCosts) -> float:
        """Cost of the network with `counts` units of a pool, and what is kept of others."""
        units = self.counts()
        for subject, count in zip(pool, counts, strict=True):
            units[subject.name] = max(self._rounded(subject, count), self.floors[id(subject)])
        return costs.cost(pool[0].selection.budget.of, [units[name] for name in costs.names])

    def _check_reach(self, pool: Pool, costs: CompactCosts) -> None:
        """Raise if not even the fewest units meet the budget."""
        budget, granularity = pool[0].selection.budget, pool[0].selection.granularity
        fewest = {s.name: self._fewest(s, pool) for s in self.plan.groups}
        share = costs.cost(budget.of, [fewest[name] for name in costs.names])
        share /= costs.dense(budget.of)
        if share > budget.keep:
            raise RequestError(
                f"a budget of {budget.keep:g} of the network's {budget.of} can't be met: with as"
                f" few {granularity}s as unit, floor and policies allow, {share:.3f} of it stay",
                hint="raise the budget's `keep`, or lower unit or floor; LUTs and block RAMs only"
                " follow widths where hardware.target_fps asks for parallelism",
            )

    def _fewest(self, subject: Subject, pool: Pool) -> int:
        """The fewest units that can be kept of a subject while a pool's budget is to be met."""
        chosen = subject.selection
        floor = self.floors[id(subject)]
        own = chosen.budget
        fixed = chosen.method in RANKING and own.of == "density" and own.scope == "local"
        if subject in pool or not fixed:
            return floor
        return max(self._rounded(subject, round(own.keep * subject.size)), floor)

    # ------------------------------------------------------------------------------ scores

    def _scores(self, subject: Subject) -> torch.Tensor:
        """Scores of a subject's units; those of magnitude are taken from the weights anew."""
        gates = subject.gates
        if subject.selection.method == "magnitude":
            gates.scores.copy_(self._magnitudes(subject))
        return gates.scores

    def _magnitudes(self, subject: Subject) -> torch.Tensor:
        """Mean |weight| of each unit (Han 2015; of filters: Li 2017)."""
        if subject.group is None:
            return tile_means(raw(self.model, subject.name, subject.parameter), subject.tile)
        sums = torch.zeros_like(subject.gates.scores)
        weights = 0
        for member in subject.group.members:
            values = raw(self.model, member.layer, member.parameter)
            if values.ndim < 2:
                continue
            places = torch.tensor(member.index, device=values.device)
            sums += values.abs().transpose(0, member.dim).flatten(1).sum(1)[places].sum(1)
            weights += (
                places.shape[1] * values[0].numel()
                if member.dim == 0
                else (places.shape[1] * values.numel() // values.shape[1])
            )
        return sums / weights

    def _rounded(self, subject: Subject, count: int) -> int:
        """As many units as leave widths that are multiples of `unit`."""
        if subject.group is None:
            return count
        return multiple(subject.size, count, subject.group.step(self.settings.unit))


class EvenSelector(Selector):
    """Keeps the same share of all subjects that a budget ranks together: which are the best of
    them is not known before training."""

    def _scores(self, subject: Subject) -> torch.Tensor:
        scores = subject.gates.scores
        return torch.linspace(0, 1, scores.numel(), device=scores.device).reshape(scores.shape)


def raw(model: nn.Module, layer: str, parameter: str) -> torch.Tensor:
    """A layer's parameter without its masks."""
    module = model.get_submodule(layer)
    masked = getattr(module, "parametrizations", {})
    value: torch.Tensor = (
        masked[parameter].original if parameter in masked else getattr(module, parameter)
    )
    return value


def _local_allotment(pool: Pool) -> Allotment:
    """The same share of each subject's units."""
    return lambda share: [round(share * subject.size) for subject in pool]


def _global_allotment(scores: Sequence[torch.Tensor]) -> Allotment:
    """As many units of each subject as are among the best of all; of equal ones the first."""
    everything = torch.cat([tensor.flatten() for tensor in scores])

    def allot(share: float) -> list[int]:
        total = round(share * len(everything))
        if total in (0, len(everything)):
            return [tensor.numel() if total else 0 for tensor in scores]
        least = everything.kthvalue(len(everything) - total + 1).values
        counts = [int((tensor > least).sum()) for tensor in scores]
        rest = total - sum(counts)
        for index, tensor in enumerate(scores):
            equal = min(rest, int((tensor == least).sum()))
            counts[index] += equal
            rest -= equal
        return counts

    return allot
