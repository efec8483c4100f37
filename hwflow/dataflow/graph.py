"""The graph of hardware layers while it is built: nodes, integer parameters, types and shapes.

Tensors are channels last: an image is (1, H, W, C), a signal of length L is (1, L, 1, C), a vector
is (1, F). Layers are FINN's, in its domain for layers without an implementation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from hwflow.dataflow.layer_names import set_layer
from hwflow.errors import HwflowError
from hwflow.kernels.integer_types import integer_type

INPUT, OUTPUT = "codes", "label"
DOMAIN = "finn.custom_op.fpgadataflow"
# Parameters travel in float32, which holds integers of so many bits.
PARAMETER_BITS = 24
# Bits of weights and of activations that hardware multiplies.
MOST_BITS = 8

Integers = NDArray[np.int64]
Shape = tuple[int, ...]


def type_of(values: NDArray[Any]) -> Any:
    """The smallest type that holds all of some integers."""
    return integer_type(int(values.min()), int(values.max()))


class HardwareGraph:
    """Collects hardware layers in the order of computation."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.parameters: dict[str, tuple[NDArray[Any], Any]] = {}
        self.types: dict[str, Any] = {}
        self.shapes: dict[str, Shape] = {}
        self.output = OUTPUT

    def start(self, shape: Shape, datatype: Any) -> str:
        """The tensor that the accelerator takes."""
        self.shapes[INPUT], self.types[INPUT] = shape, datatype
        return INPUT

    def parameter(self, name: str, values: NDArray[Any], datatype: Any) -> str:
        """An integer parameter of a layer.

        Raises:
            HwflowError: a value of more than 24 bits.
        """
        if np.abs(values).max(initial=0) >= 2**PARAMETER_BITS:
            raise HwflowError(
                f"{name}: a value of more than {PARAMETER_BITS} bits", hint="use fewer bits"
            )
        self.parameters[name] = values, datatype
        return name

    def add(
        self,
        op: str,
        inputs: Sequence[str],
        shape: Shape,
        datatype: Any,
        *,
        name: str,
        output: str = "",
        **attributes: Any,
    ) -> str:
        """A layer; returns the tensor that it makes.

        Args:
            op: FINN's layer.
            inputs: tensors and parameters.
            shape, datatype: of what it makes.
            name: of the operation in the network that it computes.
            output: name of what it makes; default: after the layer.
            attributes: of FINN's layer.
        """
        output = output or f"{op.lower()}{len(self.nodes)}"
        node = helper.make_node(
            op,
            list(inputs),
            [output],
            name=f"{name}_{len(self.nodes)}",
            domain=DOMAIN,
            backend="fpgadataflow",
            **attributes,
        )
        set_layer(node, name)
        self.nodes.append(node)
        self.shapes[output], self.types[output] = shape, datatype
        return output

    # -------------------------------------------------------------------------- layers

    def padding(self, tensor: str, pads: Sequence[int], *, name: str) -> str:
        """Zeros around an image.

        Args:
            tensor: (1, H, W, C).
            pads: rows above, columns left, rows below, columns right.
            name: see `add`.
        """
        _, height, width, channels = self.shapes[tensor]
        shape = (1, height + pads[0] + pads[2], width + pads[1] + pads[3], channels)
        return self.add(
            "FMPadding",
            [tensor],
            shape,
            self.types[tensor],
            name=name,
            ImgDim=[height, width],
            Padding=list(pads),
            NumChannels=channels,
            SIMD=1,
            inputDataType=self.types[tensor].name,
        )

    def windows(
        self,
        tensor: str,
        kernel: Sequence[int],
        strides: Sequence[int],
        dilations: Sequence[int],
        *,
        depthwise: bool,
        name: str,
    ) -> str:
        """Every window of an image: (1, H, W, C) to (1, H', W', kh kw C)."""
        _, height, width, channels = self.shapes[tensor]
        out = [
            (size - spread * (taps - 1) - 1) // step + 1
            for size, taps, step, spread in zip(
                (height, width), kernel, strides, dilations, strict=True
            )
        ]
        return self.add(
            "ConvolutionInputGenerator",
            [tensor],
            (1, *out, math.prod(kernel) * channels),
            self.types[tensor],
            name=name,
            ConvKernelDim=list(kernel),
            IFMChannels=channels,
            IFMDim=[height, width],
            OFMDim=out,
            SIMD=1,
            Stride=list(strides),
            Dilation=list(dilations),
            inputDataType=self.types[tensor].name,
            outputDataType=self.types[tensor].name,
            depthwise=int(depthwise),
            is1D=int(height == 1 or width == 1),
        )

    def product(
        self,
        tensor: str,
        weights: Integers,
        shape: Shape,
        datatype: Any,
        *,
        binary: bool,
        name: str,
    ) -> str:
        """Vectors times a matrix.

        Args:
            tensor: vectors of MW integers.
            weights: (MW, MH).
            shape, datatype: of the sums.
            binary: whether the weights are -1 and +1 by their quantizer.
            name: see `add`.
        """
        weight_type = DataType["BIPOLAR"] if binary else type_of(weights)
        stored = self.parameter(f"weights{len(self.nodes)}", weights, weight_type)
        return self.add(
            "MVAU",
            [tensor, stored],
            shape,
            datatype,
            name=name,
            MW=weights.shape[0],
            MH=weights.shape[1],
            SIMD=1,
            PE=1,
            inputDataType=self.types[tensor].name,
            weightDataType=weight_type.name,
            outputDataType=datatype.name,
            accDataType=datatype.name,
            noActivation=1,
            numInputVectors=list(shape[:-1]),
        )

    def depthwise_product(
        self,
        tensor: str,
        weights: Integers,
        shape: Shape,
        datatype: Any,
        *,
        binary: bool,
        name: str,
    ) -> str:
        """Each channel's windows times weights of its own, (C, 1, kh, kw)."""
        weight_type = DataType["BIPOLAR"] if binary else type_of(weights)
        stored = self.parameter(f"weights{len(self.nodes)}", weights, weight_type)
        return self.add(
            "VVAU",
            [tensor, stored],
            shape,
            datatype,
            name=name,
            PE=1,
            SIMD=1,
            Dim=list(shape[1:3]),
            Channels=weights.shape[0],
            Kernel=list(weights.shape[2:]),
            inputDataType=self.types[tensor].name,
            weightDataType=weight_type.name,
            outputDataType=datatype.name,
            accDataType=datatype.name,
            noActivation=1,
        )

    def thresholding(
        self,
        tensor: str,
        thresholds: Integers,
        datatype: Any,
        base: int,
        *,
        vectors: Shape,
        channels: int,
        name: str,
    ) -> str:
        """Integers to `base` + the number of their channel's thresholds that they reach.

        Args:
            tensor: what is compared, seen as (*vectors, channels).
            thresholds: (channels, K) ascending, or (1, K) for all channels.
            datatype: of what it makes; BIPOLAR: one threshold, -1 below it and +1 from it on.
            base: least number.
            vectors, channels: how the layer sees the tensor.
            name: see `add`.
        """
        threshold_type = type_of(thresholds)
        stored = self.parameter(f"thresholds{len(self.nodes)}", thresholds, threshold_type)
        return self.add(
            "Thresholding",
            [tensor, stored],
            self.shapes[tensor],
            datatype,
            name=name,
            NumChannels=channels,
            PE=1,
            numSteps=thresholds.shape[1],
            inputDataType=self.types[tensor].name,
            weightDataType=threshold_type.name,
            outputDataType=datatype.name,
            numInputVectors=list(vectors),
            ActVal=0 if datatype == DataType["BIPOLAR"] else base,
        )

    def pool(
        self, tensor: str, function: str, kernel: Sequence[int], datatype: Any, *, name: str
    ) -> str:
        """Greatest or sum of each window: (1, H, W, kh kw C) to (1, H, W, C).

        Args:
            tensor: windows, made with `depthwise`.
            function: MaxPool or AccPool.
            kernel: of the windows.
            datatype: of what it makes.
            name: see `add`.
        """
        _, height, width, depth = self.shapes[tensor]
        channels = depth // math.prod(kernel)
        return self.add(
            "Pool",
            [tensor],
            (1, height, width, channels),
            datatype,
            name=name,
            Channels=channels,
            PE=1,
            KernelSize=list(kernel),
            Function=function,
            OutImgDims=[height, width],
            InputDataType=self.types[tensor].name,
            OutputDataType=datatype.name,
            AccumBits=0 if function == "MaxPool" else datatype.bitwidth(),
        )

    def global_sum(self, tensor: str, *, name: str) -> str:
        """Sum over a whole image: (1, H, W, C) to (1, 1, 1, C), of a type that holds all sums."""
        _, height, width, channels = self.shapes[tensor]
        incoming, pixels = self.types[tensor], height * width
        return self.add(
            "GlobalAccPool",
            [tensor],
            (1, 1, 1, channels),
            integer_type(pixels * int(incoming.min()), pixels * int(incoming.max())),
            name=name,
            NumChannels=channels,
            PE=1,
            inputDataType=incoming.name,
            numInputVectors=[1, height, width],
        )

    def upsample(self, tensor: str, factors: Sequence[int], *, name: str) -> str:
        """Each pixel repeated: (1, H, W, C) to (1, H fh, W fw, C)."""
        _, height, width, channels = self.shapes[tensor]
        return self.add(
            "UpsampleNearestNeighbour",
            [tensor],
            (1, height * factors[0], width * factors[1], channels),
            self.types[tensor],
            name=name,
            SIMD=1,
            HO=height * factors[0],
            WO=width * factors[1],
            HI=height,
            WI=width,
            NumChannels=channels,
            inputDataType=self.types[tensor].name,
        )

    def concat(self, tensors: Sequence[str], *, image: bool, name: str) -> str:
        """Channels of several images, or numbers of several vectors, side by side."""
        shapes = [self.shapes[tensor] for tensor in tensors]
        channels = [shape[-1] if image else math.prod(shape) for shape in shapes]
        vectors = shapes[0][:-1] if image else (1,)
        types = [self.types[tensor] for tensor in tensors]
        joined = integer_type(
            int(min(0, *(t.min() for t in types))), int(max(1, *(t.max() for t in types)))
        )
        return self.add(
            "StreamingConcat",
            tensors,
            (*vectors, sum(channels)),
            joined,
            name=name,
            SIMD=1,
            ChannelsPerStream=channels,
            inputDataTypes=[t.name for t in types],
            numInputVectors=list(vectors),
        )

    def sum_of(self, first: str, second: str, datatype: Any, *, name: str) -> str:
        """Two images added, number by number."""
        shape = list(self.shapes[first])
        return self.add(
            "ElementwiseAdd",
            [first, second],
            self.shapes[first],
            datatype,
            name=name,
            lhs_dtype=self.types[first].name,
            rhs_dtype=self.types[second].name,
            out_dtype=datatype.name,
            lhs_shape=shape,
            rhs_shape=shape,
            out_shape=shape,
            lhs_style="input",
            rhs_style="input",
            PE=1,
        )

    def by_channel(
        self, op: str, tensor: str, values: Integers, datatype: Any, *, name: str
    ) -> str:
        """Each channel added to (ElementwiseAdd), or times (ElementwiseMul), a number of its own.

        Args:
            op: of the two.
            tensor: (..., C).
            values: (C,).
            datatype: of what it makes.
            name: see `add`.
        """
        shape = list(self.shapes[tensor])
        value_type = type_of(values)
        stored = self.parameter(f"constants{len(self.nodes)}", values, value_type)
        return self.add(
            op,
            [tensor, stored],
            self.shapes[tensor],
            datatype,
            name=name,
            lhs_dtype=self.types[tensor].name,
            rhs_dtype=value_type.name,
            out_dtype=datatype.name,
            lhs_shape=shape,
            rhs_shape=[len(values)],
            out_shape=shape,
            lhs_style="input",
            rhs_style="const",
            PE=1,
        )

    def label_select(self, tensor: str, bias: Integers | None, count: int, *, name: str) -> str:
        """The indices of the `count` greatest numbers, biases (labels,) added first."""
        inputs = [tensor]
        labels = math.prod(self.shapes[tensor])
        if bias is not None:
            inputs.append(self.parameter("label_bias", bias[None], type_of(bias)))
        datatype = integer_type(0, labels - 1)
        return self.add(
            "LabelSelect",
            inputs,
            (1, count),
            datatype,
            name=name,
            output=OUTPUT,
            Labels=labels,
            PE=1,
            K=count,
            inputDataType=self.types[tensor].name,
            outputDataType=datatype.name,
            numInputVectors=[1],
        )

    # --------------------------------------------------------------------------- changes

    def negatable(self, maker: int, channels: NDArray[np.bool_]) -> bool:
        """Whether the weights of some outputs of a product still are weights when negated: the
        least of the most bits that are multiplied has no opposite."""
        node = self.nodes[maker]
        weights, _ = self.parameters[node.input[1]]
        rows = weights[:, channels] if node.op_type == "MVAU" else weights[channels]
        return bool(rows.min(initial=0) > -(2 ** (MOST_BITS - 1)))

    def negate_rows(self, maker: int, channels: NDArray[np.bool_], low: int, high: int) -> None:
        """Negate the weights of some outputs of the product that is layer number `maker`.

        Args:
            maker: index among the nodes.
            channels: (MH,) or (C,) which outputs.
            low, high: range of all outputs afterwards.
        """
        node = self.nodes[maker]
        weights, datatype = self.parameters[node.input[1]]
        signs = np.where(channels, -1, 1)
        weights = weights * (signs if node.op_type == "MVAU" else signs.reshape(-1, 1, 1, 1))
        if datatype != DataType["BIPOLAR"]:
            datatype = type_of(weights)
        self.parameter(node.input[1], weights, datatype)
        sums = integer_type(low, high)
        layer = getCustomOp(node)
        layer.set_nodeattr("weightDataType", datatype.name)
        layer.set_nodeattr("outputDataType", sums.name)
        layer.set_nodeattr("accDataType", sums.name)
        self.types[node.output[0]] = sums

    # ----------------------------------------------------------------------------- model

    def model(self) -> ModelWrapper:
        """All of it, from `codes` to the output, with qonnx datatypes on every tensor."""

        def info(name: str) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name])

        graph = helper.make_graph(self.nodes, "integers", [info(INPUT)], [info(self.output)])
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(DOMAIN, 1)]
        model = ModelWrapper(helper.make_model(graph, opset_imports=opsets))
        for name, (values, datatype) in self.parameters.items():
            model.set_initializer(name, values.astype(np.float32))
            model.set_tensor_datatype(name, datatype)
        for name, datatype in self.types.items():
            if name not in (INPUT, self.output):
                model.set_tensor_shape(name, list(self.shapes[name]))
            model.set_tensor_datatype(name, datatype)
        return model
