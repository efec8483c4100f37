"""Bias correction: the mean error of layers' outputs, taken out (Nagel et al. 2019)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import torch
from brevitas.nn.mixin.base import QuantRecurrentLayerMixin
from brevitas.nn.quant_layer import QuantWeightBiasInputOutputLayer
from torch import fx, nn

from hwflow.compress.quantize.tracing import BATCH_NORMS, module_of
from hwflow.compress.quantize.values import plain


@torch.no_grad()
def correct_biases(model: nn.Module, reference: nn.Module, batches: Sequence[torch.Tensor]) -> None:
    """Add to each layer's bias, or take from the batch norm behind it, the mean that its output
    lacks (Nagel et al. 2019, section 4.2, by data as in appendix D).

    Layer after layer in order of their use: each sees inputs that are corrected already. Layers
    with neither bias nor batch norm stay as they are: a bias would be one more thing for hardware
    to add. So do projections of attention, which the float network computes inside, and networks
    with recurrent layers, whose biases have no scale without quantizers of outputs.

    Args:
        model: calibrated Brevitas network, in eval mode; changed in place.
        reference: what it should compute: a float network with layers of the same names, in eval
            mode.
        batches: of samples, (B, *shape).
    """
    if any(isinstance(module, QuantRecurrentLayerMixin) for module in model.modules()):
        return
    known = {name for name, _ in reference.named_modules()}
    norms = dict(_norms_behind(model)) if isinstance(model, fx.GraphModule) else {}
    names = [
        name
        for name, module in model.named_modules()
        if name in known
        and isinstance(module, QuantWeightBiasInputOutputLayer)
        and (module.bias is not None or name in norms)
    ]
    for name, mean in _output_means(reference, names, batches).items():
        layer: Any = model.get_submodule(name)
        with _real_bias(layer):
            lacks = mean - _output_means(model, [name], batches)[name]
        if layer.bias is not None:
            layer.bias += lacks.to(layer.bias.dtype)
        else:
            norms[name].running_mean -= lacks.to(norms[name].running_mean.dtype)


@contextlib.contextmanager
def _real_bias(layer: Any) -> Iterator[None]:
    """While it is entered, a layer's bias is not rounded: it is about to change."""
    before = layer.bias_quant.disable_quant
    layer.bias_quant.disable_quant = True
    yield
    layer.bias_quant.disable_quant = before


def _output_means(
    model: nn.Module, names: Collection[str], batches: Sequence[torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Means of layers' outputs over samples and positions, (channels,) each, in order of use."""
    sums: dict[str, torch.Tensor] = {}
    counts: dict[str, int] = {}

    def record(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, args: Any, output: Any) -> None:
            axis = -1 if isinstance(layer, nn.Linear) else 1
            channels = plain(output).double().movedim(axis, 0).flatten(1)
            sums[name] = sums.get(name, 0) + channels.sum(1)
            counts[name] = counts.get(name, 0) + channels.shape[1]

        return hook

    hooks = [model.get_submodule(name).register_forward_hook(record(name)) for name in names]
    for batch in batches:
        model(batch)
    for handle in hooks:
        handle.remove()
    return {name: total / counts[name] for name, total in sums.items()}


def _norms_behind(traced: fx.GraphModule) -> Iterator[tuple[str, Any]]:
    """Layers whose only reader is a batch norm that knows a mean, and that."""
    for node in traced.graph.nodes:
        readers = list(node.users)
        norm = module_of(traced, readers[0]) if len(readers) == 1 else None
        known = isinstance(norm, BATCH_NORMS) and norm.running_mean is not None
        if node.op == "call_module" and known:
            yield str(node.target), norm
