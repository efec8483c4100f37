"""The stage: quantizes, calibrates, trains."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from hwflow.compress.distillation import objective_for
from hwflow.compress.quantize.accumulator import check_accumulators, check_room
from hwflow.compress.quantize.calibration import (
    calibrate,
    check_rounding,
    has_scales,
    post_train,
)
from hwflow.compress.quantize.equalization import equalize
from hwflow.compress.quantize.equivalence import check_equal, with_relus
from hwflow.compress.quantize.graph import quantize_network
from hwflow.compress.quantize.inputs import input_structure
from hwflow.compress.quantize.layerwise import quantize_layers
from hwflow.compress.quantize.learned_bits import BitsInRange, FewerBits, parameter_groups
from hwflow.compress.quantize.tracing import made_of_brevitas, trace
from hwflow.compress.stage import StageContext, StageOutcome, Untrained, measure
from hwflow.compress.training import Objective, train
from hwflow.costs import Target
from hwflow.data import Dataset
from hwflow.errors import RequestError
from hwflow.recipe import Quantize
from hwflow.recipe.stages.quantize import PERCENTILE, PostTraining

# Samples that scales are set by where they need only be finite, and those on which the network is
# compared with the float one.
FEW = 2
SEVERAL = 16
# Quantizers of a network that are not known before it is looked at.
_ANY_INPUT = {"bits": 8, "signed": True, "limit": 1.0}
# Options that say how hwflow quantizes, which networks made of Brevitas layers do themselves.
_OURS = (
    "format",
    "weight_bits",
    "activation_bits",
    "signed_bits",
    "pool_bits",
    "input_bits",
    "weight_scaling",
    "scale",
    "accumulator_bits",
    "learned_bits",
    "policies",
)


class QuantizeStage:
    """Swaps in quantized layers, calibrates and trains on."""

    schema = Quantize

    def check(
        self, model: nn.Module, settings: Quantize, shape: tuple[int, ...] | None = None
    ) -> None:
        """Find out what can't be quantized before any training; what hardware does not take of the
        quantized network, its lowering says.

        Args:
            model: not quantized; or made of Brevitas layers.
            settings: of the stage.
            shape: of one sample, without which sizes of images are not known.

        Raises:
            RequestError: names the layer, and what to do.
        """
        form = form_of(model, settings)
        if settings.post_training is not None:
            check_rounding(model, settings.post_training)
        quantized = self.rebuild(model, settings, {**_ANY_INPUT, "form": form, "shape": shape})
        if shape is not None:
            check_room(quantized, shape)

    def expected(
        self, before: Untrained, settings: Quantize, data: Dataset, target: Target
    ) -> Untrained:
        """The network with quantized layers, in eval mode, its scales from a few samples: finite
        ones, and that is all that is known of them."""
        few = replace(data, train=data.train.part(0, FEW))
        form = form_of(before.model, settings)
        structure: dict[str, Any] = {"form": form, "shape": list(data.shape)}
        if form == "graph":
            structure |= input_structure(before.model, settings, few)
        quantized = self.rebuild(copy.deepcopy(before.model), settings, structure)
        self._check_equal(before.model, settings, structure, few.floats(few.train))
        calibrate(quantized, [torch.from_numpy(few.floats(few.train))])
        return replace(before, model=quantized.eval())

    def run(self, model: nn.Module, settings: Quantize, context: StageContext) -> StageOutcome:
        """Quantize, calibrate, train, and measure on validation and test."""
        post_training = settings.post_training
        form = form_of(model, settings)
        if post_training is None and settings.epochs == 0 and not has_scales(model):
            post_training = PostTraining()
        structure: dict[str, Any] = {"form": form, "shape": list(context.data.shape)}
        if form == "graph":
            if post_training is not None and post_training.equalize:
                model = equalize(model)
            structure |= input_structure(model, settings, context.data)
        few = context.data.train.part(0, SEVERAL)
        self._check_equal(model, settings, structure, context.data.floats(few))
        torch.manual_seed(context.seed)
        quantized = self.rebuild(model, settings, structure)
        check_room(quantized, context.data.shape)
        if post_training is not None:
            post_train(quantized, None if form == "own" else model, post_training, context)
        self._train(quantized, settings, context)
        check_accumulators(quantized.eval(), context.data.shape)
        return StageOutcome(quantized, measure(quantized, context), structure)

    def _check_equal(
        self,
        model: nn.Module,
        settings: Quantize,
        structure: dict[str, Any],
        samples: NDArray[Any],
    ) -> None:
        """See that what is quantized is the network that was given; see `check_equal`."""
        if structure["form"] != "own":
            quantized = self.rebuild(model, with_relus(settings), structure)
            check_equal(model, quantized, torch.from_numpy(samples))

    def _train(self, quantized: nn.Module, settings: Quantize, context: StageContext) -> None:
        objective: Objective = objective_for(settings.distillation, quantized, context)
        if settings.learned_bits is not None:
            objective = FewerBits(objective, settings.learned_bits.penalty)
        train(
            quantized,
            settings,
            context,
            objective=objective,
            groups=parameter_groups(quantized, settings),
            callbacks=[BitsInRange()] if settings.learned_bits is not None else [],
            # The best weights are those with more bits; the last have those that were learned.
            last=settings.learned_bits is not None,
        )

    def rebuild(self, model: nn.Module, settings: Quantize, structure: dict[str, Any]) -> nn.Module:
        """The quantized network, its layers with the values of `model`."""
        form = structure.get("form", "graph")
        if form == "own":
            return model
        if form == "layers":
            return quantize_layers(model, settings)
        return quantize_network(model, settings, structure)


def form_of(model: nn.Module, settings: Quantize) -> str:
    """How a network is quantized: by itself (`own`), by a pass over its graph (`graph`), or, where
    it can't be traced and need not be, layer by layer (`layers`).

    Raises:
        RequestError: an option is for another form, or hardware is wanted and it can't be traced.
    """
    post_training = settings.post_training
    moves = post_training is not None and (
        post_training.equalize or post_training.rounding != "nearest"
    )
    observes = post_training is not None and (
        post_training.statistics != "percentile" or post_training.percentile != PERCENTILE
    )
    if made_of_brevitas(model):
        fields = type(settings).model_fields
        for name in _OURS:
            if getattr(settings, name) != fields[name].default:
                raise RequestError(
                    f"{name}: the network is made of Brevitas layers, which are quantized as they"
                    " are written",
                    hint=f"leave {name} out, or write the network in plain torch.nn",
                )
        if moves or observes:
            raise RequestError(
                "post_training: equalize, other roundings and other statistics are for networks"
                " that hwflow quantizes",
                hint="write the network in plain torch.nn",
            )
        return "own"
    try:
        trace(model)
    except RequestError:
        if settings.target == "hardware":
            raise
        if moves or settings.accumulator_bits is not None:
            raise
        return "layers"
    return "graph"
