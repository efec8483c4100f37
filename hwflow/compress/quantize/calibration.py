"""What is done to a quantized network with data but without training."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from brevitas.core.scaling import ParameterFromRuntimeStatsScaling
from brevitas.graph.calibrate import calibration_mode
from brevitas.graph.gptq import gptq_mode
from torch import fx, nn

from hwflow.compress.quantize.bias_correction import correct_biases
from hwflow.compress.quantize.learned_rounding import learn_rounding
from hwflow.compress.quantize.tracing import made_of_brevitas
from hwflow.compress.quantize.values import unquantized
from hwflow.compress.stage import StageContext
from hwflow.data import Dataset, Split
from hwflow.errors import RequestError
from hwflow.recipe.stages.quantize import PostTraining

BATCH = 256


def post_train(
    model: nn.Module, reference: nn.Module | None, settings: PostTraining, context: StageContext
) -> None:
    """Calibrate a quantized network and reduce its errors, in place.

    Args:
        model: Brevitas network; left in eval mode.
        reference: the float network that it was made of, which is put in eval mode; None: there
            is none but itself with its quantizers off.
        settings: what to do.
        context: data, seed, and who is told how far it is.
    """
    batches = samples(context.data, settings.samples, context.seed)
    context.note("calibrating", None)
    calibrate(model, batches)
    own = copy.deepcopy(model) if reference is None else reference.eval()
    with nullcontext() if reference is not None else unquantized(own):
        if settings.rounding == "gptq":
            context.note("rounding weights (GPTQ)", None)
            apply_gptq(model, batches)
        elif settings.rounding == "learned":
            learn_rounding(model, own, batches, settings, context)
        if settings.bias_correction:
            context.note("correcting biases", None)
            correct_biases(model, own, batches)


def samples(data: Dataset, count: int, seed: int) -> list[torch.Tensor]:
    """Batches of training samples, chosen at random, (B, *shape) each."""
    order = np.random.default_rng(seed).permutation(len(data.train))[:count]
    chosen = Split(data.train.inputs[order], data.train.labels[order])
    inputs = torch.from_numpy(data.floats(chosen))
    return list(torch.split(inputs, BATCH))


@torch.no_grad()
def calibrate(model: nn.Module, batches: Sequence[torch.Tensor]) -> None:
    """Set the scales of activations to what they are on data, layers computing in float.

    Args:
        model: Brevitas network; left in eval mode.
        batches: of samples.
    """
    model.eval()
    readers = _Readings(model)
    with calibration_mode(model), readers:
        for batch in batches:
            readers.next_batch()
            model(batch)
        readers.widen()
    model(batches[0])  # Scales of weights that are parameters are set by their first use.


def has_scales(model: nn.Module) -> bool:
    """Whether a network is quantized and has seen data: the scales of its activations are set."""
    scalings = [m for m in model.modules() if isinstance(m, ParameterFromRuntimeStatsScaling)]
    return made_of_brevitas(model) and all(s.counter > s.collect_stats_steps for s in scalings)


class _Readings:
    """Statistics of shared quantizers by the place that they are called at.

    Brevitas takes the mean over all calls; where a wide range meets a narrow one, that cuts the
    wide one off. Used as a context manager while a network is calibrated.

    Args:
        model: Brevitas network.
    """

    def __init__(self, model: nn.Module) -> None:
        self.scalings: list[Any] = [
            module
            for module in model.modules()
            if isinstance(module, ParameterFromRuntimeStatsScaling)
        ]
        self.sums: dict[nn.Module, list[torch.Tensor]] = {}
        self.calls: Counter[nn.Module] = Counter()
        self.batches = 0

    def __enter__(self) -> None:
        self._hooks = [scaling.register_forward_hook(self._note) for scaling in self.scalings]

    def __exit__(self, *error: object) -> None:
        for handle in self._hooks:
            handle.remove()

    def next_batch(self) -> None:
        """Begin to count calls anew."""
        self.calls.clear()
        self.batches += 1

    def _note(self, scaling: Any, args: tuple[Any, ...], output: Any) -> None:
        seen = scaling.clamp_scaling(scaling.stats(scaling.stats_input_view_shape_impl(args[0])))
        sums, call = self.sums.setdefault(scaling, []), self.calls[scaling]
        if call < len(sums):
            sums[call] = sums[call] + seen
        else:
            sums.append(seen)
        self.calls[scaling] += 1

    def widen(self) -> None:
        """Let quantizers that are called at several places hold the widest mean of any."""
        for scaling, sums in self.sums.items():
            if len(sums) > 1:
                widest = torch.stack(sums).amax(0) / self.batches
                scaling.get_buffer("buffer").copy_(widest)


@torch.no_grad()
def apply_gptq(model: nn.Module, batches: Sequence[torch.Tensor]) -> None:
    """Round weights one after the other, each error made up for by those still to come (Frantar
    et al. 2022, section 3), layer after layer."""
    with gptq_mode(model, create_weight_orig=False, act_order=True) as gptq:
        for _ in range(gptq.num_layers):
            for batch in batches:
                gptq.model(batch)
            gptq.update()
    if isinstance(model, fx.GraphModule):
        model.recompile()  # Brevitas leaves its own forward behind.


def check_rounding(model: nn.Module, settings: PostTraining) -> None:
    """Raise if a network's weights can't be rounded as asked.

    Raises:
        RequestError: names the layer.
    """
    if settings.rounding != "gptq":
        return
    for name, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            raise RequestError(
                f"post_training.rounding: gptq can't round attention, which layer {name} is",
                hint="use learned, which leaves what is inside attention at its nearest codes",
            )
