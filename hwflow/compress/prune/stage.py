"""Stage `prune`."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from hwflow.compress.distillation import objective_for
from hwflow.compress.prune import removal
from hwflow.compress.prune.budgets import CompactCosts, kept_share
from hwflow.compress.prune.exactness import zero_units
from hwflow.compress.prune.freezing import frozen
from hwflow.compress.prune.masks import bake, hold_zeros, plain_state, spread
from hwflow.compress.prune.plan import (
    Plan,
    make_plan,
    prunable_weights,
    put_masks,
)
from hwflow.compress.prune.regularizer import RegularizedLoss
from hwflow.compress.prune.schedule import Scheduler
from hwflow.compress.prune.selection import EvenSelector, Selector, raw
from hwflow.compress.reparametrized import plain_weights
from hwflow.compress.stage import StageContext, StageOutcome, Untrained, measure
from hwflow.compress.training import train
from hwflow.costs import Target
from hwflow.data import Dataset
from hwflow.errors import HwflowError, RequestError
from hwflow.recipe import Prune
from hwflow.recipe.stages.prune import RANKING

# Validation samples on which the compact network is compared with the masked one, and by how much
# sums in another order may differ, relative to the largest logit.
SAMPLES, TOLERANCE = 64, 1e-4
# What is taken for what training decides.
ALL_KEPT = "all units are kept: thresholds decide in training"
PRUNED = "as many units are pruned as its budget says, evenly over the layers"
NOTHING_PRUNED = "nothing is pruned"


class PruneStage:
    """Finds what the network can do without while it trains, takes it out, and trains the rest."""

    schema = Prune

    def check(
        self, model: nn.Module, settings: Prune, shape: tuple[int, ...] | None = None
    ) -> None:
        """See that there are layers; `expected` sees to which, where they are known.

        Raises:
            RequestError: the network has no linear or convolutional layer.
        """
        if not prunable_weights(model):
            raise RequestError(
                "the network has no linear or convolutional layer to prune",
                hint="leave stage prune out",
            )

    def run(self, model: nn.Module, settings: Prune, context: StageContext) -> StageOutcome:
        """Train with masks, take out what is masked, fine-tune, and measure.

        Returns:
            Metrics are also `density`, the share of weights of linear and convolutional layers and
            in attention that are left and not zero, and of a budget in hardware cost its share,
            such as `macs_kept`.

        Raises:
            HwflowError: training failed, or the compact network is another one than was trained.
        """
        model = plain_weights(model)
        dense, before = _weights(model), plain_state(model)
        plan = make_plan(model, settings, context.data.shape)
        costs = _costs(plan, model, context.data.shape, context.target)
        selector = Selector(plan, model, settings, costs)
        put_masks(model, plan)
        warmed_up = _train_masks(model, plan, selector, settings, context)
        selector(1.0)
        trained = _sample_logits(model, context)
        bake(model)
        if settings.rewind is not None:
            model.load_state_dict(before if settings.rewind == "start" else warmed_up or before)
        model, structure = _take_out(model, plan, context.data.shape)
        if settings.rewind is None:
            _check_same(trained, _sample_logits(model, context))
        _fill(model, plan, settings, context)
        metrics = {"density": _weights(model) / dense}
        if costs is not None:
            of = settings.selection(None).budget.of
            metrics[f"{of}_kept"] = kept_share(costs, of, selector.counts())
        return StageOutcome(model.eval(), {**metrics, **measure(model, context)}, structure)

    def expected(
        self, before: Untrained, settings: Prune, data: Dataset, target: Target
    ) -> Untrained:
        """The network without as many units as its budget leaves out, evenly over its layers; all
        of it where thresholds decide, or where sizes are not known yet.

        Raises:
            RequestError: see `make_plan`; also a budget that can't be had.
        """
        if not before.sized:
            return before.assuming(NOTHING_PRUNED, plain_weights(before.model), shrinks=True)
        compact = copy.deepcopy(plain_weights(before.model))
        plan = make_plan(compact, settings, data.shape)
        costs = _costs(plan, compact, data.shape, target)
        EvenSelector(plan, compact, settings, costs)(1.0)
        taken = _take_out(compact, plan, data.shape)[0]
        ranked = all(subject.selection.method in RANKING for subject in plan.subjects)
        return before.assuming(PRUNED if ranked else ALL_KEPT, taken, shrinks=not ranked)

    def rebuild(self, model: nn.Module, settings: Prune, structure: dict[str, Any]) -> nn.Module:
        """The network at its compact shapes; as it is, where only zeros are left."""
        model = plain_weights(model)
        return removal.rebuild(model, structure) if structure else model


def _costs(
    plan: Plan, model: nn.Module, shape: tuple[int, ...], target: Target
) -> CompactCosts | None:
    """Costs of the compact network, if a budget is of them."""
    if all(s.selection.budget.of == "density" for s in plan.subjects):
        return None
    groups = [subject.group for subject in plan.groups if subject.group is not None]
    return CompactCosts(model, shape, groups, target)


def _train_masks(
    model: nn.Module, plan: Plan, selector: Selector, settings: Prune, context: StageContext
) -> dict[str, Any] | None:
    """Train weights and scores; the weights as they were after the warm-up."""
    loss = RegularizedLoss(
        objective_for(settings.distillation, model, context), plan.subjects, settings.regularizer
    )
    scheduler = Scheduler(plan, loss, selector, (settings.warm_up, settings.cool_down))
    with frozen(model, settings.freeze) as still:
        train(
            model,
            settings,
            context,
            objective=loss,
            groups=parameter_groups(model, plan, settings),
            callbacks=[scheduler, still],
            # Networks of one density compete on validation; otherwise the densest would win.
            last=any(subject.selection.method not in RANKING for subject in plan.subjects),
        )
    return scheduler.warmed_up


def parameter_groups(model: nn.Module, plan: Plan, settings: Prune) -> list[dict[str, Any]]:
    """The optimizer's groups: weights; and scores, at their own rate, without weight decay."""
    scores = [s.gates.scores for s in plan.subjects if s.gates.scores.requires_grad]
    known = {id(s.gates.scores) for s in plan.subjects}
    weights = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
    groups: list[dict[str, Any]] = [{"params": weights}]
    if scores:
        groups.append({"params": scores, "lr": settings.scores.learning_rate, "weight_decay": 0.0})
    return groups


def _take_out(
    model: nn.Module, plan: Plan, shape: tuple[int, ...]
) -> tuple[nn.Module, dict[str, Any]]:
    """Zero what is not kept, and take out the units that can be; the structure for `rebuild`."""
    for subject in plan.subjects:
        keep = subject.gates.keep
        if subject.group is not None:
            zero_units(model, subject.group, (~keep).nonzero().flatten().tolist())
            continue
        weight = raw(model, subject.name, subject.parameter)
        with torch.no_grad():
            weight.mul_(spread(keep, weight, subject.tile))
    groups = [subject.group for subject in plan.subjects if subject.group is not None]
    if not groups:
        return model, {}
    indices = {s.name: s.gates.keep.nonzero().flatten().tolist() for s in plan.groups}
    return removal.remove(model, shape, indices, groups)


def _sample_logits(model: nn.Module, context: StageContext) -> torch.Tensor:
    """Logits of some validation samples, in eval mode."""
    inputs = torch.from_numpy(context.data.floats(context.data.validation)[:SAMPLES])
    with torch.inference_mode():
        logits: torch.Tensor = model.eval()(inputs)
    return logits


def _check_same(masked: torch.Tensor, compact: torch.Tensor) -> None:
    """Raise if the compact network is not the one that was trained."""
    error = float((masked - compact).abs().max())
    if error > TOLERANCE * max(1.0, float(masked.abs().max())):
        raise HwflowError(
            f"the network without its pruned units differs from the masked one by {error:.2g}",
            hint="add the layers that it computes with in an unusual way to `skip`",
        )


def _fill(model: nn.Module, plan: Plan, settings: Prune, context: StageContext) -> None:
    """Train what is left; zeros stay zero."""
    if settings.fill_epochs == 0:
        return
    changes = {
        "epochs": settings.fill_epochs,
        "learning_rate": settings.fill_learning_rate or settings.learning_rate,
    }
    folder = context.folder / "fill"
    folder.mkdir(exist_ok=True)
    hold_zeros(model, [(s.name, s.parameter) for s in plan.subjects if s.group is None])
    objective = objective_for(settings.distillation, model, context)
    with frozen(model, settings.freeze) as still:
        train(
            model,
            settings.model_copy(update=changes),
            replace(context, folder=folder),
            objective=objective,
            callbacks=[still],
        )
    bake(model)


def _weights(model: nn.Module) -> int:
    """Weights of linear and convolutional layers and in attention that are not zero."""
    return sum(int(raw(model, *weight).count_nonzero()) for weight in prunable_weights(model))
