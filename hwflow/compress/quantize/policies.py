"""Which options hold for which layer: mixed precision by patterns of names."""

from __future__ import annotations

from hwflow.config.yaml_source import nearest
from hwflow.errors import RequestError
from hwflow.recipe import Quantize
from hwflow.recipe.pattern import matches
from hwflow.recipe.stages.quantize import LayerPolicy

_OF_ACTIVATIONS = frozenset({"activation_bits", "scale"})
_OF_WEIGHTS = frozenset({"weight_bits", "weight_scaling", "scale", "accumulator_bits"})


class Policies:
    """The options of each layer, and a record of which layers were asked for.

    Args:
        settings: the stage's options and policies.
    """

    def __init__(self, settings: Quantize) -> None:
        self.settings = settings
        self._weights: dict[str, None] = {}
        self._activations: dict[str, None] = {}

    def of_weights(self, name: str) -> Quantize:
        """The options for the weights of a layer."""
        self._weights[name] = None
        return self._settings(name)

    def of_activation(self, name: str) -> Quantize:
        """The options for a quantizer of activations, by the layer that it is at."""
        self._activations[name] = None
        return self._settings(name)

    def _settings(self, name: str) -> Quantize:
        for policy in self.settings.policies:
            if matches(policy.layers, name):
                options = policy.options()
                if "activation_bits" in options:  # Whatever kind of quantizer is there.
                    options |= dict.fromkeys(("signed_bits", "pool_bits"), policy.activation_bits)
                return self.settings.model_copy(update=options)
        return self.settings

    def check(self) -> None:
        """Raise for a policy that holds for nothing, once the network is quantized.

        Raises:
            RequestError: a pattern matches no name, or an option none that it is for.
        """
        for number, policy in enumerate(self.settings.policies):
            for option in policy.options():
                self._check(f"policies.{number}", policy, option)

    def _check(self, where: str, policy: LayerPolicy, option: str) -> None:
        names: dict[str, None] = {}
        kinds = []
        if option in _OF_WEIGHTS:
            names |= self._weights
            kinds.append("layer with weights")
        if option in _OF_ACTIVATIONS:
            names |= self._activations
            kinds.append("activation")
        if not any(matches(policy.layers, name) for name in names):
            raise RequestError(
                f"{where}: the pattern {policy.layers!r} matches no {' or '.join(kinds)}, so that"
                f" its {option} would do nothing",
                hint=nearest(policy.layers, names),
            )
