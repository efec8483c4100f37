"""Random quantized networks as QONNX graphs, for property tests of everything behind the export."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hwflow.dataflow.integers import InputCode


@dataclass(frozen=True)
class Case:
    """A network, what its input integers mean, and the seed that its numbers came from."""

    model: onnx.ModelProto
    code: InputCode
    features: int
    seed: int

    def codes(self, count: int) -> NDArray[np.int64]:
        """Random input integers, the extreme ones among them."""
        random = np.random.default_rng(self.seed)
        shape = (count, self.features)
        codes = random.integers(self.code.minimum, self.code.maximum + 1, shape)
        codes[0], codes[1] = self.code.minimum, self.code.maximum
        return codes

    def inputs(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """The real values that the codes mean."""
        scale, offset = np.float32(self.code.scale), np.float32(self.code.offset)
        return codes.astype(np.float64) * float(scale) + float(offset)


@dataclass(frozen=True)
class LayerSpec:
    """One hidden layer of a random network."""

    width: int
    weight_bits: int
    activation_bits: int
    per_channel: bool
    power_of_two: bool
    batch_norm: bool
    signed: bool


layers = st.builds(
    LayerSpec,
    width=st.sampled_from([1, 2, 3, 4, 6, 8, 12, 16]),
    weight_bits=st.integers(1, 8),
    activation_bits=st.integers(1, 8),
    per_channel=st.booleans(),
    power_of_two=st.booleans(),
    batch_norm=st.booleans(),
    signed=st.booleans(),
)


@st.composite
def cases(draw: st.DrawFn, max_layers: int = 3) -> Case:
    """Random multilayer perceptrons: widths, 1 to 8 bits, scales, batch norms, signs, biases."""
    return build_case(
        features=draw(st.sampled_from([1, 2, 4, 6, 8, 16, 24])),
        hidden=draw(st.lists(layers, min_size=1, max_size=max_layers)),
        classes=draw(st.integers(2, 10)),
        input_bits=draw(st.integers(1, 8)),
        identity=draw(st.booleans()),
        bias=draw(st.booleans()),
        seed=draw(st.integers(0, 2**31)),
    )


def build_case(
    features: int,
    hidden: list[LayerSpec],
    classes: int,
    input_bits: int,
    identity: bool,
    bias: bool,
    seed: int,
) -> Case:
    """The network of a description, its numbers random."""
    graph = _Graph(np.random.default_rng(seed))
    maximum = 2**input_bits - 1 if identity else 255
    scale = 1 / maximum
    if identity:
        code = InputCode(scale, 0.0, 0, maximum)
        tensor = graph.quant("input", scale=scale, bits=input_bits, signed=False)
        step = float(np.float32(scale))
    else:
        code = InputCode(2 * scale, -1.0, 0, maximum)
        step = float(np.float32(1.0 if input_bits == 1 else 1 / (2 ** (input_bits - 1) - 0.5)))
        tensor = graph.activation("input", step, input_bits, signed=True)
    width, magnitude = features, 1.0
    for spec in hidden:
        tensor = graph.linear(
            tensor, width, spec.width, spec.weight_bits, spec.per_channel, spec.power_of_two
        )
        spread = magnitude * np.sqrt(width)
        if spec.batch_norm:
            tensor, spread = graph.batch_norm(tensor, spec.width, spread), 1.5
        top = 2.0 ** np.rint(np.log2(spread)) if spec.power_of_two else spread
        steps = max(1, 2 ** (spec.activation_bits - spec.signed) - 1)
        step = float(np.float32(top / (steps + 1 if spec.power_of_two else steps)))
        tensor = graph.activation(tensor, step, spec.activation_bits, spec.signed)
        width, magnitude = spec.width, float(top)
    last_bits = hidden[-1].weight_bits
    graph.linear(
        tensor,
        width,
        classes,
        last_bits,
        False,
        hidden[-1].power_of_two,
        bias_scale=step if bias else None,
        output="logits",
    )
    return Case(graph.model(features, classes), code, features, seed)


class _Graph:
    """Collects the nodes and parameters of a QONNX graph."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.nodes: list[onnx.NodeProto] = []
        self.parameters: list[onnx.TensorProto] = []

    def parameter(self, values: object) -> str:
        name = f"p{len(self.parameters)}"
        array = np.asarray(values, np.float32)
        self.parameters.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, inputs: list[str], output: str = "", **attributes: object) -> str:
        output = output or f"t{len(self.nodes)}"
        domain = "qonnx.custom_op.general" if "Quant" in kind else ""
        self.nodes.append(
            helper.make_node(
                kind, inputs, [output], name=f"{kind}{len(self.nodes)}", domain=domain, **attributes
            )
        )
        return output

    def quant(
        self, tensor: str, scale: object, bits: int, signed: bool, narrow: bool = False
    ) -> str:
        operands = [tensor, self.parameter(scale), self.parameter(0.0), self.parameter(bits)]
        return self.node(
            "Quant", operands, signed=int(signed), narrow=int(narrow), rounding_mode="ROUND"
        )

    def activation(self, tensor: str, scale: float, bits: int, signed: bool) -> str:
        if bits == 1:
            return self.node("BipolarQuant", [tensor, self.parameter(scale)])
        if not signed:
            tensor = self.node("Relu", [tensor])
        return self.quant(tensor, scale, bits, signed)

    def linear(
        self,
        tensor: str,
        inputs: int,
        outputs: int,
        bits: int,
        per_channel: bool,
        power_of_two: bool,
        bias_scale: float | None = None,
        output: str = "",
    ) -> str:
        weights = self.random.uniform(-1, 1, (inputs, outputs)).astype(np.float32)
        size = (1, outputs) if per_channel else ()
        scale = self.random.uniform(0.5, 1, size).astype(np.float32) / max(1, 2 ** (bits - 1) - 1)
        if power_of_two:
            scale = np.exp2(np.rint(np.log2(scale))).astype(np.float32)
        stored = self.parameter(weights)
        if bits == 1:
            quantized = self.node("BipolarQuant", [stored, self.parameter(scale)])
        else:
            quantized = self.quant(stored, scale, bits, True, narrow=bool(self.random.integers(2)))
        if bias_scale is None:
            return self.node("MatMul", [tensor, quantized], output)
        step = np.float32(bias_scale) * scale
        bias = self.parameter(self.random.integers(-20, 20, outputs) * step)
        rounded = self.quant(bias, step, 32, True)
        return self.node("Gemm", [tensor, quantized, rounded], output)

    def batch_norm(self, tensor: str, width: int, spread: float) -> str:
        gamma = self.random.normal(0, 1, width)
        gamma[self.random.random(width) < 0.1] = 0.0
        operands = [
            gamma,
            self.random.normal(0, 0.5, width),
            self.random.normal(0, 0.3 * spread, width),
            np.full(width, spread**2),
        ]
        return self.node(
            "BatchNormalization", [tensor, *(self.parameter(v) for v in operands)], epsilon=1e-5
        )

    def model(self, features: int, classes: int) -> onnx.ModelProto:
        ends = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])]
            for name, size in (("input", features), ("logits", classes))
        ]
        graph = helper.make_graph(self.nodes, "random", *ends, initializer=self.parameters)
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
        return helper.make_model(graph, opset_imports=opsets)
