"""A case of the fuzzer: a network and how it is built and run, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from hwflow.dataflow.integers import InputCode
from tests.support.fuzzing.brevitas_network import BrevitasNetwork, random_brevitas
from tests.support.random_images import Description, build, random_description
from tests.support.random_networks import LayerSpec, build_case

# One case in so many is exported by Brevitas, one a perceptron; the rest are written as QONNX.
BREVITAS, PERCEPTRONS = 10, 5


class Network(Protocol):
    """A network, what its input integers mean, and some of those."""

    @property
    def model(self) -> onnx.ModelProto:
        """In QONNX."""
        ...

    @property
    def code(self) -> InputCode:
        """What the accelerator's input integers mean."""
        ...

    def codes(self, count: int) -> NDArray[np.int64]:
        """Random input integers."""
        ...

    def inputs(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """The real values that they mean."""
        ...


@dataclass(frozen=True)
class Perceptron:
    """A multilayer perceptron: see `random_networks.build_case`."""

    features: int
    hidden: tuple[LayerSpec, ...]
    classes: int
    input_bits: int
    identity: bool
    bias: bool
    seed: int

    def build(self) -> Network:
        """The network, its numbers random."""
        return build_case(
            self.features,
            list(self.hidden),
            self.classes,
            self.input_bits,
            self.identity,
            self.bias,
            self.seed,
        )

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Perceptron:
        """From plain data."""
        hidden = tuple(LayerSpec(**layer) for layer in data["hidden"])
        return Perceptron(**{**data, "hidden": hidden})


Spec = Description | Perceptron | BrevitasNetwork
KINDS: dict[str, type[Spec]] = {
    "images": Description,
    "perceptron": Perceptron,
    "brevitas": BrevitasNetwork,
}


@dataclass(frozen=True)
class Case:
    """A network, and how it is built and run.

    Attributes:
        network: its description.
        folding: seed of random foldings; None: the least parallelism.
        mvau: as in a recipe's `hardware`.
        rtl: whether RTL is simulated.
        frames: samples.
        source, sink: stalls in percent.
        top_k: classes that come out, or all where there are fewer.
        fifos: seed of random FIFO depths; None: as simulation sizes them.
    """

    network: Spec = field(repr=False)
    folding: int | None = None
    mvau: str = "auto"
    rtl: bool = False
    frames: int = 6
    source: int = 0
    sink: int = 0
    fifos: int | None = 0
    top_k: int = 1

    def build(self) -> Network:
        """The network."""
        return (
            build(self.network) if isinstance(self.network, Description) else self.network.build()
        )

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        kind = next(name for name, spec in KINDS.items() if isinstance(self.network, spec))
        return {"kind": kind, **asdict(self)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Case:
        """The inverse of `as_json`."""
        fields = {key: value for key, value in data.items() if key != "kind"}
        network = KINDS[data["kind"]].from_json(data["network"])
        return Case(**{**fields, "network": network})


def random_case(seed: int, *, rtl: bool = False) -> Case:
    """A case, every number of it at random.

    Args:
        seed: of all of it.
        rtl: whether RTL is simulated, of a network small enough for that.
    """
    random = np.random.default_rng([seed, 4])
    network: Spec
    if seed % BREVITAS == BREVITAS - 1:
        network = random_brevitas(seed)
    elif seed % PERCEPTRONS == 0:
        network = _perceptron(seed, random)
    else:
        network = random_description(seed, 2 if rtl else 4)
    if rtl and isinstance(network, Description):
        network = _small(network)
    return Case(
        network,
        folding=seed,
        mvau=str(random.choice(["auto", "dsp", "lut"])),
        rtl=rtl,
        source=int(random.choice([0, 30, 60])),
        sink=int(random.choice([0, 50, 80])),
        fifos=None if random.random() < 0.1 else seed,
        top_k=int(np.random.default_rng([seed, 7]).choice([1, 1, 1, 2, 3, 5])),
    )


def _small(network: Description) -> Description:
    """With an image of at most 7 x 7, and few wide thresholds: what compiles in seconds."""
    channels, *sizes = network.shape
    bound = 7 if len(sizes) == 2 else 16
    shape = (min(channels, 3), *(min(size, bound) for size in sizes))
    blocks = tuple(replace(block, width=min(block.width, 4)) for block in network.blocks)
    return replace(network, shape=shape, blocks=blocks)


def _perceptron(seed: int, random: np.random.Generator) -> Perceptron:
    hidden = tuple(
        LayerSpec(
            width=int(random.choice([1, 2, 3, 4, 6, 8, 12])),
            weight_bits=int(random.integers(1, 9)),
            activation_bits=int(random.integers(1, 9)),
            per_channel=bool(random.integers(2)),
            power_of_two=bool(random.integers(2)),
            batch_norm=bool(random.integers(2)),
            signed=bool(random.integers(2)),
        )
        for _ in range(int(random.integers(1, 4)))
    )
    return Perceptron(
        features=int(random.choice([1, 2, 4, 6, 8, 16])),
        hidden=hidden,
        classes=int(random.integers(2, 11)),
        input_bits=int(random.integers(1, 9)),
        identity=bool(random.integers(2)),
        bias=bool(random.integers(2)),
        seed=seed,
    )
