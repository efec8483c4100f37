"""Which operations of a file are known, and what translates them."""

from __future__ import annotations

from collections.abc import Callable

from hwflow.exchange.importing import elementwise, layers, pools, quantizers, shapes
from hwflow.exchange.importing.nodes import Node, Value
from hwflow.exchange.importing.normal import HEADS, Translator

OPERATIONS: dict[str, Callable[[Translator, Node], Value]] = {
    "Quant": quantizers.quant,
    "IntQuant": quantizers.quant,
    "BipolarQuant": quantizers.bipolar_quant,
    "Trunc": quantizers.trunc,
    "FloatQuant": quantizers.float_quant,
    "QuantizeLinear": quantizers.quantize_linear,
    "DequantizeLinear": quantizers.dequantize_linear,
    "MatMul": layers.matmul,
    "Gemm": layers.gemm,
    "Conv": layers.conv,
    "MaxPool": pools.max_pool,
    "AveragePool": pools.average_pool,
    "GlobalAveragePool": pools.global_average_pool,
    "GlobalMaxPool": pools.global_max_pool,
    "ReduceMean": pools.reduce_mean,
    "Transpose": shapes.transpose,
    "Flatten": shapes.flatten,
    "Reshape": shapes.reshape,
    "Squeeze": shapes.squeeze,
    "Unsqueeze": shapes.unsqueeze,
    "Pad": shapes.pad,
    "Concat": shapes.concat,
    "Resize": shapes.resize,
    "Upsample": shapes.resize,
    "Shape": elementwise.shape,
    "Identity": elementwise.passed,
    "Dropout": elementwise.passed,
    "Cast": elementwise.passed,
    "Relu": elementwise.activation,
    "LeakyRelu": elementwise.activation,
    "Sigmoid": elementwise.activation,
    "Tanh": elementwise.activation,
    "Clip": elementwise.clip,
    "Add": elementwise.arithmetic,
    "Sub": elementwise.arithmetic,
    "Mul": elementwise.arithmetic,
    "Div": elementwise.arithmetic,
    "BatchNormalization": elementwise.batch_norm,
    **dict.fromkeys(sorted(HEADS), elementwise.head),
}
