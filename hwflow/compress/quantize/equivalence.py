"""Whether quantizers are all that a quantized network differs by from the one it was made of."""

from __future__ import annotations

import copy
from typing import Any

import torch
from brevitas.nn.mixin.base import QuantRecurrentLayerMixin
from torch import nn

from hwflow.compress.quantize.tracing import BATCH_NORMS, COMPUTE
from hwflow.compress.quantize.values import plain, unquantized
from hwflow.compress.reparametrized import plain_weights
from hwflow.errors import RequestError
from hwflow.recipe import Quantize

# By how much outputs may differ, in float64, relative to the greatest; both compute the same sums,
# in other orders.
TOLERANCE = 1e-5


def with_relus(settings: Quantize) -> Quantize:
    """The options with no activations of one bit: a sign stands where there was a ReLU, so that
    networks with it are equal to no other."""
    policies = [
        policy.model_copy(update={"activation_bits": max(policy.activation_bits, 2)})
        if policy.activation_bits is not None
        else policy
        for policy in settings.policies
    ]
    bits = max(settings.activation_bits, 2)
    return settings.model_copy(update={"activation_bits": bits, "policies": policies})


@torch.no_grad()
def check_equal(network: nn.Module, quantized: nn.Module, samples: torch.Tensor) -> None:
    """See that a quantized network computes, with all quantizers off, what the float one does.

    Brevitas's recurrent layers can't compute with their quantizers off: networks with some are not
    judged.

    Args:
        network: float network; left as it is.
        quantized: made of it; left as it is.
        samples: (N, *shape).

    Raises:
        RequestError: it computes something else, as where forward does in training what it does
            not do in evaluation; names the first layer that sees it.
    """
    if any(isinstance(module, QuantRecurrentLayerMixin) for module in quantized.modules()):
        return
    outputs = []
    for model in (plain_weights(network), quantized):
        own = copy.deepcopy(model).double().eval()
        inputs = samples.double() if samples.is_floating_point() else samples
        with unquantized(own), _Outputs(own) as layers:
            outputs.append((plain(own(inputs)), layers.outputs))
    (wanted, before), (computed, after) = outputs
    if _same(wanted, computed):
        return
    both = (name for name in before if name in after)
    wrong = next((name for name in both if not _same(before[name], after[name])), None)
    where = "its output" if wrong is None else f"what comes out of layer {wrong}"
    raise RequestError(
        f"{where} is not that of the float network, even with all quantizers off",
        hint="let forward compute the same in training and in evaluation (functional dropout wants"
        " training=self.training), in plain torch.nn layers",
    )


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape:
        return False
    bound = TOLERANCE * max(1.0, float(one.abs().max()))
    return bool((one - other).abs().max() <= bound)


class _Outputs:
    """What layers with weights and batch norms put out, by name, in order, while it is entered.

    Args:
        model: whose layers they are.
    """

    def __init__(self, model: nn.Module) -> None:
        self.outputs: dict[str, torch.Tensor] = {}
        self.layers = [
            (name, module)
            for name, module in model.named_modules()
            if isinstance(module, (*COMPUTE, *BATCH_NORMS))
        ]

    def __enter__(self) -> _Outputs:
        self._hooks = [
            module.register_forward_hook(lambda *call, name=name: self._note(name, call[-1]))
            for name, module in self.layers
        ]
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _note(self, name: str, output: Any) -> None:
        self.outputs.setdefault(name, plain(output))
