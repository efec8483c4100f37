"""Networks whose weights are computed from other parameters, as weight and spectral norm do."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm


def plain_weights(model: nn.Module) -> nn.Module:
    """A network that computes the same in evaluation, all of its weights parameters.

    Parametrizations (`torch.nn.utils.parametrize`) and the hooks that came before them, those of
    weight norm, spectral norm and `torch.nn.utils.prune`, are replaced by what they compute now.

    Args:
        model: keeps its values; what hooks computed last loses its gradient. Returned itself where
            it has nothing of that kind.
    """
    if not any(_computed(module) for module in model.modules()):
        return model
    for module in model.modules():
        # What a hook computed last is an attribute with a gradient's graph, which can't be copied.
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor):
                setattr(module, name, value.detach())
    plain = copy.deepcopy(model)
    training = {module: module.training for module in plain.modules()}
    plain.eval()  # Spectral norm takes a step of its power iteration in training.
    for module in plain.modules():
        if parametrize.is_parametrized(module):
            _remove_parametrizations(module)
        for hook in list(module._forward_pre_hooks.values()):
            _remove(module, hook)
    for module, mode in training.items():
        module.training = mode
    return plain


def _computed(module: nn.Module) -> bool:
    hooks = module._forward_pre_hooks.values()
    kinds = WeightNorm | SpectralNorm | BasePruningMethod
    return parametrize.is_parametrized(module) or any(isinstance(hook, kinds) for hook in hooks)


@torch.no_grad()
def _remove_parametrizations(module: Any) -> None:
    """As `parametrize.remove_parametrizations`, which would take the weights out of the class that
    a copy shares with its original."""
    weights = {name: getattr(module, name).clone() for name in module.parametrizations}
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, value in weights.items():
        module.register_parameter(name, nn.Parameter(value))


def _remove(module: nn.Module, hook: object) -> None:
    if isinstance(hook, WeightNorm):
        remove_weight_norm(module, hook.name)
    elif isinstance(hook, SpectralNorm):
        remove_spectral_norm(module, hook.name)
    elif isinstance(hook, BasePruningMethod):
        remove_mask: Any = prune.remove  # It has no types.
        remove_mask(module, hook._tensor_name)
