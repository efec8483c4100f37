"""Hardware graphs built by hand, of FINN's op nodes, and FINN's execution of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp
from qonnx.util.basic import qonnx_make_model

from hwflow.kernels import RTL
from hwflow.kernels.integer_types import integer_type

Codes = NDArray[np.int64]


def executed(model: ModelWrapper, codes: Codes) -> dict[str, Codes]:
    """What FINN computes: each tensor's integers, (N, elements), of frames (N, elements)."""
    source = model.graph.input[0].name
    shape = model.get_tensor_shape(source)
    traces = [
        execute_onnx(model, {source: frame.reshape(shape).astype(np.float32)}, True)
        for frame in codes
    ]
    names = [output for node in model.graph.node for output in node.output]
    return {
        name: np.stack([trace[name].reshape(-1) for trace in traces]).astype(np.int64)
        for name in names
    }


@dataclass
class HardwareGraph:
    """Builds a graph layer by layer; every method returns the name of its output tensor.

    Tensors are [1, H, W, C]; foldings are what the caller gives, 1 by default.
    """

    seed: int = 0
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, tuple[NDArray[Any], str]] = field(default_factory=dict)
    tensors: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def input(self, shape: Sequence[int], datatype: str) -> str:
        """The image that goes in, (H, W, C)."""
        return self._tensor("global_in", (1, *shape), datatype)

    def frames(self, count: int) -> Codes:
        """Random frames (N, elements) over the whole range of the input's type."""
        shape, datatype = self.tensors["global_in"]
        kind = DataType[datatype]
        return self.random.integers(
            int(kind.min()), int(kind.max()) + 1, (count, int(np.prod(shape)))
        )

    def pad(self, x: str, pads: Sequence[int], simd: int = 1, name: str = "") -> str:
        """Zeros around an image: top, left, bottom, right."""
        (_, height, width, channels), datatype = self.tensors[x]
        shape = (1, height + pads[0] + pads[2], width + pads[1] + pads[3], channels)
        return self._node(
            "FMPadding",
            [x],
            (shape, datatype),
            name,
            ImgDim=[height, width],
            Padding=list(pads),
            NumChannels=channels,
            SIMD=simd,
            inputDataType=datatype,
        )

    def windows(
        self,
        x: str,
        kernel: Sequence[int],
        stride: Sequence[int] = (1, 1),
        dilation: Sequence[int] = (1, 1),
        simd: int = 1,
        *,
        depthwise: bool = False,
        parallel: bool = False,
        name: str = "",
    ) -> str:
        """The window under each position of a kernel."""
        (_, *size, channels), datatype = self.tensors[x]
        out = [
            (n - d * (k - 1) - 1) // s + 1
            for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
        ]
        return self._node(
            "ConvolutionInputGenerator",
            [x],
            ((1, *out, kernel[0] * kernel[1] * channels), datatype),
            name,
            ConvKernelDim=list(kernel),
            IFMChannels=channels,
            IFMDim=size,
            OFMDim=out,
            SIMD=channels if parallel and not depthwise else simd,
            Stride=list(stride),
            Dilation=list(dilation),
            inputDataType=datatype,
            outputDataType=datatype,
            depthwise=int(depthwise),
            parallel_window=int(parallel),
            is1D=int(1 in size),
            ram_style="auto",
        )

    def pool(
        self,
        x: str,
        function: str,
        kernel: Sequence[int],
        pe: int = 1,
        cut: int = 0,
        name: str = "",
    ) -> str:
        """Each channel of windows made with `depthwise`: MaxPool, AccPool, or QuantAvgPool, the
        sum without its `cut` lowest bits."""
        (*pixels, depth), datatype = self.tensors[x]
        count = int(np.prod(kernel))
        kind = DataType[datatype]
        output = datatype
        if function != "MaxPool":
            low, high = (count * int(bound) >> cut for bound in (kind.min(), kind.max()))
            output = integer_type(low, high).name
        return self._node(
            "Pool",
            [x],
            ((*pixels, depth // count), output),
            name,
            Channels=depth // count,
            PE=pe,
            KernelSize=list(kernel),
            Function=function,
            OutImgDims=list(pixels[1:]),
            InputDataType=datatype,
            OutputDataType=output,
            Size=cut,
        )

    def linear(
        self, x: str, outputs: int, bits: int = 2, pe: int = 1, simd: int = 1, name: str = ""
    ) -> str:
        """Random weights applied to the channels of every pixel."""
        (*pixels, inputs), datatype = self.tensors[x]
        name = name or f"MVAU_{len(self.nodes)}"
        limit = 2 ** (bits - 1)
        weights = self.random.integers(-limit + 1, limit, (inputs, outputs))
        kind = DataType[datatype]
        magnitude = max(abs(int(kind.min())), abs(int(kind.max())))
        bound = max(1, int(np.abs(weights).sum(0).max()) * magnitude)
        sums = f"INT{max(bound.bit_length() + 1, bits + kind.bitwidth())}"
        return self._node(
            "MVAU",
            [x, self._initializer(f"{name}_w", weights, f"INT{bits}")],
            ((*pixels, outputs), sums),
            name,
            PE=pe,
            SIMD=simd,
            MW=inputs,
            MH=outputs,
            inputDataType=datatype,
            weightDataType=f"INT{bits}",
            outputDataType=sums,
            accDataType=sums,
            noActivation=1,
            numInputVectors=list(pixels),
        )

    def thresholds(self, x: str, bits: int = 2, pe: int = 1, signed: bool = False) -> str:
        """Random ascending steps for each channel, spread over what comes in at random."""
        (*pixels, channels), datatype = self.tensors[x]
        name = f"Thresholding_{len(self.nodes)}"
        reach = max(2, int(DataType[datatype].max()) // 8)
        steps = self.random.integers(-reach, reach, (channels, 2**bits - 1))
        output = f"{'' if signed else 'U'}INT{bits}"
        return self._node(
            "Thresholding",
            [x, self._initializer(f"{name}_t", np.sort(steps, axis=1), datatype)],
            ((*pixels, channels), output),
            name,
            PE=pe,
            NumChannels=channels,
            numSteps=2**bits - 1,
            inputDataType=datatype,
            weightDataType=datatype,
            outputDataType=output,
            numInputVectors=list(pixels),
            ActVal=-(2 ** (bits - 1)) if signed else 0,
        )

    def copies(self, x: str, count: int = 2, pe: int = 1) -> list[str]:
        """As many copies of a tensor."""
        shape, datatype = self.tensors[x]
        return self._nodes(
            "DuplicateStreams",
            [x],
            [(shape, datatype)] * count,
            "",
            NumChannels=shape[-1],
            PE=pe,
            NumOutputStreams=count,
            inputDataType=datatype,
            numInputVectors=list(shape[:-1]),
        )

    def add(self, x: str, y: str, pe: int = 1, name: str = "") -> str:
        """The sum of two tensors of one shape."""
        (shape, left), (_, right) = self.tensors[x], self.tensors[y]
        low, high = (
            int(end(DataType[left])) + int(end(DataType[right]))
            for end in (lambda t: t.min(), lambda t: t.max())
        )
        bits = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0)
        output = f"INT{bits + 1}" if low < 0 else f"UINT{bits}"
        return self._node(
            "ElementwiseAdd",
            [x, y],
            (shape, output),
            name,
            lhs_dtype=left,
            rhs_dtype=right,
            out_dtype=output,
            lhs_shape=list(shape),
            rhs_shape=list(shape),
            out_shape=list(shape),
            PE=pe,
        )

    def concat(self, tensors: Sequence[str], simd: int = 1) -> str:
        """Channels of several tensors of one type, one tensor after the other."""
        pixels = self.tensors[tensors[0]][0][:-1]
        types = [self.tensors[name][1] for name in tensors]
        channels = [self.tensors[name][0][-1] for name in tensors]
        return self._node(
            "StreamingConcat",
            list(tensors),
            ((*pixels, sum(channels)), types[0]),
            "",
            SIMD=simd,
            ChannelsPerStream=channels,
            inputDataTypes=types,
            numInputVectors=list(pixels),
        )

    def label(self, x: str, pe: int = 1) -> str:
        """The index of the greatest of [1, 1, 1, C]."""
        (*_, channels), datatype = self.tensors[x]
        output = f"UINT{max(1, (channels - 1).bit_length())}"
        return self._node(
            "LabelSelect",
            [x],
            ((1, 1, 1, 1), output),
            "label",
            Labels=channels,
            PE=pe,
            K=1,
            inputDataType=datatype,
            outputDataType=output,
            numInputVectors=[1, 1, 1],
        )

    def model(self) -> ModelWrapper:
        """The finished graph; its output is that of the last layer."""
        infos = {
            name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, (shape, _) in self.tensors.items()
        }
        last = self.nodes[-1].output[0]
        graph = helper.make_graph(
            self.nodes,
            "hardware",
            [infos.pop("global_in")],
            [infos.pop(last)],
            value_info=list(infos.values()),
        )
        model = ModelWrapper(qonnx_make_model(graph))
        for name, (values, datatype) in self.initializers.items():
            model.set_initializer(name, values.astype(np.float32))
            model.set_tensor_datatype(name, DataType[datatype])
        for name, (_, datatype) in self.tensors.items():
            model.set_tensor_datatype(name, DataType[datatype])
        for node in model.graph.node:
            getCustomOp(node).set_nodeattr("exec_mode", "cppsim")
        return model

    def _tensor(self, name: str, shape: Sequence[int], datatype: str) -> str:
        self.tensors[name] = (tuple(shape), datatype)
        return name

    def _initializer(self, name: str, values: NDArray[Any], datatype: str) -> str:
        self.initializers[name] = (values, datatype)
        return name

    def _node(
        self,
        op: str,
        inputs: list[str],
        output: tuple[Sequence[int], str],
        name: str,
        **attributes: Any,
    ) -> str:
        (result,) = self._nodes(op, inputs, [output], name, **attributes)
        return result

    def _nodes(
        self,
        op: str,
        inputs: list[str],
        outputs: Sequence[tuple[Sequence[int], str]],
        name: str,
        **attributes: Any,
    ) -> list[str]:
        name = name or f"{op}_{len(self.nodes)}"
        ends = [""] if len(outputs) == 1 else [str(number) for number in range(len(outputs))]
        results = [
            self._tensor(f"{name}_out{end}", *output)
            for end, output in zip(ends, outputs, strict=True)
        ]
        self.nodes.append(
            helper.make_node(
                f"{op}_rtl",
                inputs,
                results,
                name=name,
                domain=RTL,
                backend="fpgadataflow",
                **attributes,
            )
        )
        return results
