"""Learned rounding: whether each weight is rounded up or down (AdaRound, Nagel et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from brevitas.core.function_wrapper.learned_round import LearnedRoundHardSigmoid
from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer
from torch import nn
from torch.nn import functional

from hwflow.compress.quantize.values import plain
from hwflow.compress.stage import StageContext
from hwflow.recipe.stages.quantize import PostTraining

BATCH = 64
# The regulariser (section 3.1, equation 24): its weight; the share of steps without it; and its
# exponent, which falls so that decisions become hard.
REGULARISER, WARM_UP, FIRST_EXPONENT, LAST_EXPONENT = 0.01, 0.2, 20.0, 2.0
# Ends of the rectified sigmoid, which Brevitas's has too.
STRETCH, SHIFT = 1.2, 0.1


def learn_rounding(
    model: nn.Module,
    reference: nn.Module,
    batches: Sequence[torch.Tensor],
    settings: PostTraining,
    context: StageContext,
) -> None:
    """Choose for each weight between the two nearest codes, layer after layer, in place.

    A layer's choice is the one that brings its output on quantized inputs nearest to what the
    float network has there. Weights become exact multiples of their scale. Layers that the float
    network does not call by themselves, as those inside attention, stay as they are.

    Args:
        model: calibrated Brevitas network in eval mode, its scales of weights fixed.
        reference: the float network, with layers of the same names, in eval mode.
        batches: of samples, (B, *shape).
        settings: steps and learning rate.
        context: seed, and who is told how far it is.
    """
    names = _called(reference, model, batches[0])
    generator = torch.Generator().manual_seed(context.seed)
    for number, name in enumerate(names):
        context.note(f"learning to round {name}", number / len(names))
        inputs = _inputs(model, name, batches)
        wanted = _outputs(reference, name, batches)
        round_layer(model.get_submodule(name), inputs, wanted, settings, generator)


def round_layer(
    layer: Any,
    inputs: torch.Tensor,
    wanted: torch.Tensor,
    settings: PostTraining,
    generator: torch.Generator,
) -> None:
    """Choose the codes of one layer's weights, in place; the nearest ones stay if none is better.

    Args:
        layer: quantized linear or convolutional layer.
        inputs: what it sees, (N, ...).
        wanted: what it should make of them, (N, ...).
        settings: steps and learning rate.
        generator: of the batches.
    """
    quantized = layer.quant_weight()
    scale, weight = quantized.scale.detach(), layer.weight.detach()
    highest = 2 ** (int(quantized.bit_width) - 1) - 1
    lowest = -highest - (0 if layer.weight_quant.is_narrow_range else 1)
    below = torch.floor(weight / scale)
    sigmoid = LearnedRoundHardSigmoid().train()
    rest = ((weight / scale - below + SHIFT) / STRETCH).clamp(1e-6, 1 - 1e-6)
    choice = torch.logit(rest).requires_grad_()
    optimizer = torch.optim.Adam([choice], settings.learning_rate)
    for step in range(settings.steps):
        index = torch.randint(len(inputs), (min(BATCH, len(inputs)),), generator=generator)
        up = sigmoid(choice)
        codes = torch.clamp(below + up, lowest, highest)
        error = (_apply(layer, inputs[index], codes * scale) - wanted[index]).square()
        loss = error.flatten(1).sum(1).mean() + _regulariser(up, step / settings.steps)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    with torch.no_grad():
        learned = torch.clamp(below + (sigmoid(choice) > 0.5).float(), lowest, highest) * scale
        errors = [
            functional.mse_loss(_apply(layer, inputs, values), wanted)
            for values in (learned, quantized.value)
        ]
        layer.weight.copy_(learned if errors[0] < errors[1] else quantized.value)


def _regulariser(up: torch.Tensor, progress: float) -> torch.Tensor:
    if progress < WARM_UP:
        return up.new_zeros(())
    rest = (1 - progress) / (1 - WARM_UP)
    exponent = LAST_EXPONENT + (FIRST_EXPONENT - LAST_EXPONENT) * rest
    return REGULARISER * (1 - (2 * up - 1).abs().pow(exponent)).sum()


def _apply(layer: Any, inputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A layer's output with other weights."""
    output: torch.Tensor = layer.inner_forward_impl(inputs, weight, layer.bias)
    return output


@torch.no_grad()
def _called(reference: nn.Module, model: nn.Module, batch: torch.Tensor) -> list[str]:
    """Quantized layers that the float network calls too, in order of their use there."""
    names: dict[str, None] = {}
    quantized = {
        name
        for name, module in model.named_modules()
        if isinstance(module, QuantWeightBiasInputOutputLayer)
        and module.weight_quant.is_quant_enabled
    }
    hooks = [
        layer.register_forward_hook(lambda *args, name=name: names.setdefault(name))
        for name, layer in reference.named_modules()
        if name in quantized
    ]
    reference(batch)
    for hook in hooks:
        hook.remove()
    return list(names)


@torch.no_grad()
def _inputs(model: nn.Module, name: str, batches: Sequence[torch.Tensor]) -> torch.Tensor:
    """What a layer sees of samples, quantized by itself where it does that."""
    seen: list[torch.Tensor] = []
    layer: Any = model.get_submodule(name)
    hook = layer.register_forward_pre_hook(
        lambda module, args: seen.append(plain(module.input_quant(args[0])).clone())
    )
    for batch in batches:
        model(batch)
    hook.remove()
    return torch.cat(seen)


@torch.no_grad()
def _outputs(model: nn.Module, name: str, batches: Sequence[torch.Tensor]) -> torch.Tensor:
    """What a layer makes of samples, (N, ...)."""
    outputs: list[torch.Tensor] = []
    hook = model.get_submodule(name).register_forward_hook(
        lambda module, args, output: outputs.append(plain(output).clone())
    )
    for batch in batches:
        model(batch)
    hook.remove()
    return torch.cat(outputs)
