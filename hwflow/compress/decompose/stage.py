"""Stage `decompose`: layers become products of smaller ones, and the network is trained on.

Each layer is decomposed; its last factor is fitted to what the layer made on training data; batch
norms get new statistics; the network is trained.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from hwflow.compress.decompose.candidates import Candidate, find_candidates, given_ranks
from hwflow.compress.decompose.cost import Use, network_cost, uses
from hwflow.compress.decompose.kernel import Dimensions
from hwflow.compress.decompose.methods import methods_for
from hwflow.compress.decompose.plan import Decomposition, in_parallel, plan_layer
from hwflow.compress.decompose.refit import recalibrate, refit
from hwflow.compress.decompose.replace import factor_layers, fill, put
from hwflow.compress.distillation import objective_for
from hwflow.compress.reparametrized import plain_weights
from hwflow.compress.stage import StageContext, StageOutcome, Untrained, measure
from hwflow.compress.training import train
from hwflow.costs import Target, layer_shapes
from hwflow.data import Dataset, Split
from hwflow.recipe.stages.decompose import Decompose

# What is taken for what trained weights decide.
DECOMPOSED = "every layer that can be is decomposed, by ranks that are given or else the least"


class DecomposeStage:
    """Decomposes layers and trains on."""

    schema = Decompose

    def check(
        self, model: nn.Module, settings: Decompose, shape: tuple[int, ...] | None = None
    ) -> None:
        """Raise if a pattern matches no layer, or a rank or the unit can't be had."""
        find_candidates(model, settings)

    def expected(
        self, before: Untrained, settings: Decompose, data: Dataset, target: Target
    ) -> Untrained:
        """The network with factors in place of each layer that is asked for, of the ranks that are
        given or else the least; those that will turn out to stay can't be known without trained
        weights."""
        model = plain_weights(before.model)
        layers = {}
        for candidate in find_candidates(model, settings)[0]:
            methods = {m.name: m for m in methods_for(candidate.policy.method, candidate.size)}
            method = methods.get("tucker2") or next(iter(methods.values()))
            ranks = list(given_ranks(candidate, method) or ())
            ranks = ranks or [min(settings.unit, most) for most in method.limits(candidate.size)]
            layers[candidate.name] = {"method": method.name, "ranks": ranks}
        factored = self.rebuild(model, settings, {"layers": layers})
        return before.assuming(DECOMPOSED, factored, sized=False, shrinks=False)

    def run(self, model: nn.Module, settings: Decompose, context: StageContext) -> StageOutcome:
        """Decompose, refit, recalibrate, train, and measure on validation and test."""
        model = plain_weights(model)
        candidates, left = find_candidates(model, settings)
        layer_uses = uses(model, context.data.shape)
        plan, stay = decompose(candidates, layer_uses, settings, context)
        compact = replaced(model, plan)
        _assert_costs(compact, context.data.shape, plan, candidates, context.target)
        samples = calibration_samples(settings, context)
        if settings.refit:
            order = {name: len(calls) for name, calls in layer_uses.items() if name in plan}
            refit(compact, model, order, samples, context.note)
        if settings.recalibrate:
            recalibrate(compact, samples)
        return self._trained(compact, settings, context, _structure(plan, left | stay))

    def _trained(
        self,
        model: nn.Module,
        settings: Decompose,
        context: StageContext,
        structure: dict[str, Any],
    ) -> StageOutcome:
        untrained = measure(model, context)["validation_accuracy"]
        objective = objective_for(settings.distillation, model, context)
        train(model, settings, context, objective=objective)
        metrics = measure(model, context) | {
            "validation_accuracy_before_training": untrained,
            "decomposed_layers": float(len(structure["layers"])),
        }
        return StageOutcome(model.eval(), metrics, structure)

    def rebuild(
        self, model: nn.Module, settings: Decompose, structure: dict[str, Any]
    ) -> nn.Module:
        """The decomposed network, the factors without their values."""
        model = copy.deepcopy(plain_weights(model))
        for name, record in structure["layers"].items():
            layer: Any = model.get_submodule(name)
            size = Dimensions.of(layer.weight)
            put(model, name, factor_layers(layer, size, record["method"], tuple(record["ranks"])))
        return model


def decompose(
    candidates: list[Candidate],
    layer_uses: dict[str, list[Use]],
    settings: Decompose,
    context: StageContext,
) -> tuple[dict[str, Decomposition], dict[str, str]]:
    """Decompose layers, each on its own.

    Args:
        candidates: layers and their policies.
        layer_uses: of all layers in a frame.
        settings: of the stage.
        context: of the stage.

    Returns:
        The decompositions, and why other layers stay, by name.
    """
    used = [candidate for candidate in candidates if candidate.name in layer_uses]
    stay = {c.name: "the network's forward does not call it" for c in candidates if c not in used}

    def work(candidate: Candidate) -> Decomposition | str:
        return plan_layer(
            candidate, layer_uses[candidate.name], settings.unit, context.target, context.seed
        )

    plan: dict[str, Decomposition] = {}
    results = in_parallel(work, used, lambda candidate: candidate.layer.weight.numel())
    for number, (candidate, outcome) in enumerate(zip(used, results, strict=True), start=1):
        if isinstance(outcome, str):
            stay[candidate.name] = outcome
            told = f"{candidate.name} stays: {outcome}"
        else:
            plan[candidate.name] = outcome
            ranks = ", ".join(map(str, outcome.ranks))
            told = (
                f"{candidate.name}: {outcome.method}, rank {ranks},"
                f" error {outcome.factors.error:.3f}"
            )
        context.note(told, number / len(used))
    return plan, stay


def replaced(model: nn.Module, plan: dict[str, Decomposition]) -> nn.Module:
    """A copy of a network with factors in the place of its layers.

    Args:
        model: left as it is.
        plan: decompositions by the layers' names.
    """
    compact = copy.deepcopy(model)
    for name, decomposition in plan.items():
        layer: Any = compact.get_submodule(name)
        size = Dimensions.of(layer.weight)
        factors = factor_layers(layer, size, decomposition.method, decomposition.ranks)
        fill(factors, decomposition.factors.weights, layer)
        put(compact, name, factors)
    return compact


def _assert_costs(
    compact: nn.Module,
    shape: tuple[int, ...],
    plan: dict[str, Decomposition],
    candidates: list[Candidate],
    target: Target,
) -> None:
    """Each layer's factors, as the network really runs them, cost what was planned, and less."""
    shapes = layer_shapes(compact, shape)
    for candidate in candidates:
        if candidate.name in plan:
            own = [s for s in shapes if s.name.startswith(f"{candidate.name}.")]
            cost = network_cost(candidate.policy.cost, own, target)
            before, after = plan[candidate.name].before, plan[candidate.name].after
            assert cost == after, f"{candidate.name}: {cost} is not {after}"
            assert cost.is_below(before), f"{candidate.name}: {cost} is not less"


def calibration_samples(settings: Decompose, context: StageContext) -> torch.Tensor:
    """(N, *shape) training samples, drawn by the seed."""
    data = context.data
    generator = torch.Generator().manual_seed(context.seed)
    drawn = torch.randperm(len(data.train), generator=generator)[: settings.calibration].numpy()
    return torch.from_numpy(data.floats(Split(data.train.inputs[drawn], data.train.labels[drawn])))


def _structure(plan: dict[str, Decomposition], left: dict[str, str]) -> dict[str, Any]:
    """What `rebuild` needs, and what became of each layer."""
    return {
        "layers": {
            name: {
                "method": decomposition.method,
                "ranks": list(decomposition.ranks),
                "error": decomposition.factors.error,
                "macs": [decomposition.before.macs, decomposition.after.macs],
            }
            for name, decomposition in plan.items()
        },
        "left": left,
    }
