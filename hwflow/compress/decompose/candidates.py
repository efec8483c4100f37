"""Which layers of a network can be decomposed, and what the recipe asks of each."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from torch import nn

from hwflow.compress.decompose.cost import LAYERS
from hwflow.compress.decompose.kernel import Dimensions
from hwflow.compress.decompose.methods import Method, Ranks, methods_for
from hwflow.compress.patterns import matched
from hwflow.errors import RequestError
from hwflow.recipe.pattern import matches
from hwflow.recipe.stages.decompose import Decompose, Factorization, GivenRanks

Layer = nn.Linear | nn.Conv1d | nn.Conv2d


@dataclass(frozen=True)
class Candidate:
    """A layer and how it is to be decomposed."""

    name: str
    layer: Layer
    policy: Factorization

    @property
    def size(self) -> Dimensions:
        """Of the weight."""
        return Dimensions.of(self.layer.weight)


def find_candidates(
    model: nn.Module, settings: Decompose
) -> tuple[list[Candidate], dict[str, str]]:
    """The layers to decompose, and those that stay, each with the reason.

    Args:
        model: plain torch.nn network.
        settings: of the stage.

    Raises:
        RequestError: a pattern matches no layer, no layer can be decomposed, a rank is above the
            channels, or the unit divides no layer's channels.
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, LAYERS)}
    _check_patterns(list(layers), settings)
    shared = _shared(model)
    candidates, left = [], {}
    for name, layer in layers.items():
        policy = _policy(name, settings)
        reason = _reason(layer, policy, shared) if name else "is the whole network"
        if reason is None:
            candidates.append(Candidate(name, layer, policy))
        else:
            left[name] = reason
    if not candidates:
        listed = "; ".join(f"{name}: {reason}" for name, reason in left.items())
        raise RequestError(
            f"no layer can be decomposed: {listed or 'there is no linear layer'}",
            hint="Linear, Conv1d and Conv2d without groups can; see `method` and `policies`",
        )
    _check_unit(candidates, settings.unit)
    for candidate in candidates:
        _check_ranks(candidate)
    return candidates, left


def _check_patterns(names: list[str], settings: Decompose) -> None:
    for number, policy in enumerate(settings.policies):
        matched(policy.layers, names, f"policies.{number}.layers")


def _policy(name: str, settings: Decompose) -> Factorization:
    for policy in settings.policies:
        if matches(policy.layers, name):
            return policy
    return settings


def _shared(model: nn.Module) -> set[int]:
    """Parameters that stand in several places of a network."""
    counted = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    return {number for number, count in counted.items() if count > 1}


def _reason(layer: nn.Module, policy: Factorization, shared: set[int]) -> str | None:
    """Why a layer can't be decomposed."""
    if type(layer) not in LAYERS:
        return f"is a {type(layer).__name__}, whose weight others use or change"
    if getattr(layer, "groups", 1) > 1:
        return "a grouped convolution"
    if id(layer.weight) in shared:
        return "shares its weight with another place"
    if policy.method == "none":
        return "method none"
    kernel = math.prod(getattr(layer, "kernel_size", (1,)))
    if policy.method == "svd" and kernel > 1:
        return "svd takes matrices: linear layers and convolutions of 1 x 1"
    return None


def _check_unit(candidates: list[Candidate], unit: int) -> None:
    channels = {n for c in candidates for n in (c.size.inputs, c.size.outputs)}
    if not any(count % unit == 0 for count in channels):
        listed = ", ".join(map(str, sorted(channels)))
        raise RequestError(
            f"unit {unit} divides no layer's channels ({listed})",
            hint=f"take a divisor of some of them, such as {_greatest_divisor(channels)}",
        )


def _greatest_divisor(channels: set[int]) -> int:
    """The greatest number up to 8 that divides one of the channel counts."""
    return max(unit for unit in range(1, 9) if any(count % unit == 0 for count in channels))


def given_ranks(candidate: Candidate, method: Method) -> Ranks | None:
    """The ranks that the recipe gives a layer; None: it gives a rule."""
    rule = candidate.policy.ranks
    if not isinstance(rule, GivenRanks):
        return None
    count = len(method.limits(candidate.size))
    ranks = rule.pair if count == 2 else (min(rule.pair),)
    return ranks * 2 if len(ranks) < count else ranks


def _check_ranks(candidate: Candidate) -> None:
    size = candidate.size
    for method in methods_for(candidate.policy.method, size):
        limits, ranks = method.limits(size), given_ranks(candidate, method)
        if ranks is not None and any(
            rank > limit for rank, limit in zip(ranks, limits, strict=True)
        ):
            most = ", ".join(map(str, limits))
            raise RequestError(
                f"{candidate.name}: rank {', '.join(map(str, ranks))} is above what"
                f" {size.inputs} input and {size.outputs} output channels allow {method.name}:"
                f" {most}",
                hint="lower the rank, or give this layer an entry of its own in `policies`",
            )
