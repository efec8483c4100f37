"""What is done to a quantized network with data but without training: calibration, bias
correction, GPTQ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from brevitas.graph.calibrate import bias_correction_mode, calibration_mode
from brevitas.graph.gptq import gptq_mode
from brevitas.nn.mixin.base import QuantRecurrentLayerMixin
from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer
from torch import fx, nn

from hwflow.compress.quantize.learned_rounding import learn_rounding
from hwflow.compress.quantize.tracing import BATCH_NORMS, module_of
from hwflow.compress.stage import StageContext
from hwflow.data import Dataset
from hwflow.recipe.quantize import PostTraining

BATCH = 256


def post_train(model: nn.Module, settings: PostTraining, context: StageContext) -> None:
    """Calibrate a quantized network and reduce its errors, in place.

    Args:
        model: Brevitas network; left in eval mode.
        settings: what to do.
        context: data, seed, and who is told how far it is.
    """
    batches = samples(context.data, settings.samples, context.seed)
    context.note("calibrating", None)
    calibrate(model, batches)
    if settings.rounding == "gptq":
        context.note("rounding weights (GPTQ)", None)
        apply_gptq(model, batches)
    elif settings.rounding == "learned":
        learn_rounding(model, batches, settings, context)
    if settings.bias_correction:
        context.note("correcting biases", None)
        correct_biases(model, batches)


def samples(data: Dataset, count: int, seed: int) -> list[torch.Tensor]:
    """Batches of training samples, chosen at random, (B, *shape) each."""
    order = np.random.default_rng(seed).permutation(len(data.train))[:count]
    inputs = torch.from_numpy(data.floats(data.train)[order])
    return list(inputs.split(BATCH))


@torch.no_grad()
def calibrate(model: nn.Module, batches: Sequence[torch.Tensor]) -> None:
    """Set the scales of activations to what they are on data, layers computing in float.

    Args:
        model: Brevitas network; left in eval mode.
        batches: of samples.
    """
    model.eval()
    with calibration_mode(model):
        for batch in batches:
            model(batch)
    model(batches[0])  # Scales of weights that are parameters are set by their first use.


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


@torch.no_grad()
def correct_biases(model: nn.Module, batches: Sequence[torch.Tensor]) -> None:
    """Add to each layer's bias the mean error of its quantized output (Nagel et al. 2019, section
    4.2); where it has none, to the batch norm behind it.

    Layers with neither stay as they are: a bias would be one more thing for hardware to add. So
    do networks with recurrent layers: errors are measured without quantizers of outputs, and
    without theirs, the biases of recurrent layers have no scale.
    """
    if any(isinstance(module, QuantRecurrentLayerMixin) for module in model.modules()):
        return
    named = dict(model.named_modules())
    bare = [
        name
        for name, module in named.items()
        if isinstance(module, QuantWeightBiasInputOutputLayer) and module.bias is None
    ]
    with bias_correction_mode(model):
        for batch in batches:
            model(batch)
    norms = dict(_norms_behind(model)) if isinstance(model, fx.GraphModule) else {}
    for name in bare:
        correction = named[name].bias
        named[name].register_parameter("bias", None)
        mean = getattr(norms.get(name), "running_mean", None)
        if isinstance(mean, torch.Tensor) and isinstance(correction, torch.Tensor):
            mean -= correction


def _norms_behind(traced: fx.GraphModule) -> Iterator[tuple[str, nn.Module]]:
    """Layers whose only reader is a batch norm, and that."""
    for node in traced.graph.nodes:
        readers = list(node.users)
        norm = module_of(traced, readers[0]) if len(readers) == 1 else None
        if node.op == "call_module" and isinstance(norm, BATCH_NORMS):
            yield str(node.target), norm
