"""Pooling and upsampling kernels against FINN's execution, under stalls."""

import math

import numpy as np
import pytest
import torch
from qonnx.core.datatype import DataType
from qonnx.core.onnx_exec import execute_onnx
from qonnx.custom_op.registry import getCustomOp
from torch.nn import functional

from hwflow.costs import divisors
from hwflow.errors import HwflowError
from hwflow.kernels.pool.op import Pool_rtl
from hwflow.rtl.generate import generate
from hwflow.rtl.nodes import generate_node
from hwflow.simulate import Simulator
from tests.support.bench import STALLS, Bench
from tests.support.hardware import PYNQ
from tests.support.hardware_graphs import HardwareGraph
from tests.support.layers import global_acc_pool, pool, quantized_average, upsample

CASES = 30
TYPES = ("BIPOLAR", "BINARY", "TERNARY", "UINT2", "INT2", "UINT4", "INT4", "INT5", "UINT8", "INT8")

# Types of an average, and bits cut off, other than FINN's.
OTHER_SIZES = (("INT4", "INT6", 0), ("INT4", "INT5", 1), ("INT4", "INT2", 9))


def small_shape(random):
    """Channels, PE and pixels."""
    channels = random.integers(1, 13)
    return channels, random.choice(divisors(channels)), random.integers(1, 5, 2).tolist()


def fits_its_average(datatype, positions):
    """FINN's output type of an average lacks the least sum of some signed types."""
    output, size = quantized_average(positions, DataType[datatype])
    least = positions * int(DataType[datatype].min()) >> size
    return datatype not in {"BIPOLAR", "TERNARY"} and least >= DataType[output].min()


def test_pool_equals_finn(finn, models, tmp_path):
    random = np.random.default_rng(1)
    layers = [pool("MaxPool", 64, 64, [2, 2], [2, 2], "BIPOLAR")]
    layers += [pool("QuantAvgPool", 4, 2, [2, 2], [2, 2], *other) for other in OTHER_SIZES]
    functions = ("MaxPool", "AccPool", "QuantAvgPool")
    while len(layers) < 2 * CASES:
        channels, pe, pixels = small_shape(random)
        kernel = random.integers(1, 4, 2).tolist()
        function, datatype = functions[len(layers) % 3], str(random.choice(TYPES))
        if function != "QuantAvgPool" or fits_its_average(datatype, math.prod(kernel)):
            layers.append(pool(function, channels, pe, kernel, pixels, datatype))
    Bench(layers, tmp_path, models).check()


def test_pool_equals_finn_s_own_execution(finn):
    """Of averages too, whose execution is not inherited, where FINN's two sizes agree."""
    random = np.random.default_rng(2)
    for datatype, kernel in (
        ("UINT4", [3, 3]),
        ("INT4", [3, 3]),
        ("INT8", [2, 2]),
        ("UINT2", [7, 7]),
    ):
        model = pool("QuantAvgPool", 3, 1, kernel, [2, 3], datatype)
        node, shape = model.graph.node[0], model.get_tensor_shape("in0")
        given = DataType[datatype]
        frame = random.integers(given.min(), given.max() + 1, shape).astype(np.float32)
        found = execute_onnx(model, {"in0": frame})["out0"]
        context = {"in0": frame, "out0": np.zeros_like(found)}
        Pool_rtl.BASE.execute_node(getCustomOp(node), context, model.graph)
        assert np.array_equal(found, context["out0"])


def test_an_average_cuts_off_the_bits_it_is_told(finn):
    frame = np.full((1, 2, 2, 16), -3, np.float32)
    for layer, wanted in zip(OTHER_SIZES, (-12, -6, -1), strict=True):
        found = execute_onnx(pool("QuantAvgPool", 4, 2, [2, 2], [2, 2], *layer), {"in0": frame})
        assert (found["out0"] == wanted).all()


def test_global_pool_equals_finn(finn, models, tmp_path):
    random = np.random.default_rng(3)
    layers = [
        global_acc_pool(1, 1, [1, 1], "UINT4"),
        global_acc_pool(8, 4, [1, 1], "INT4"),
        global_acc_pool(200, 1, [2, 2], "INT8"),
        # Block RAM
        global_acc_pool(1024, 1, [2, 1], "INT8"),
    ]
    while len(layers) < CASES + 4:
        channels, pe, pixels = small_shape(random)
        layers.append(global_acc_pool(channels, pe, pixels, str(random.choice(TYPES))))
    styles = {getCustomOp(layer.graph.node[0]).memory.style(PYNQ.part) for layer in layers}
    assert styles == {"registers", "distributed", "block"}
    Bench(layers, tmp_path, models).check()


def test_upsampling_equals_finn(finn, models, tmp_path):
    random = np.random.default_rng(4)
    layers = [
        # Block RAM
        upsample(64, 2, [2, 32], [2, 2], "INT8"),
        upsample(4, 2, [3, 2], [1, 1], "UINT4"),
    ]
    while len(layers) < CASES:
        channels, simd, pixels = small_shape(random)
        scales = random.integers(1, 4, 2).tolist()
        layers.append(upsample(channels, simd, pixels, scales, str(random.choice(TYPES))))
    styles = {getCustomOp(layer.graph.node[0]).memory.style(PYNQ.part) for layer in layers}
    assert styles == {"registers", "distributed", "block"}
    Bench(layers, tmp_path, models).check()


def test_windows_and_pools_are_those_of_torch(finn, models, tmp_path):
    """FINN's sliding window in front of the kernel, three times, against torch's pools."""
    graph = HardwareGraph(seed=5)
    x = graph.input((9, 8, 4), "INT4")
    x = graph.pool(graph.windows(x, [3, 3], [1, 1], simd=2, depthwise=True), "MaxPool", [3, 3], 2)
    x = graph.windows(x, [2, 2], [2, 2], simd=2, depthwise=True)
    x = graph.pool(x, "QuantAvgPool", [2, 2], 2, cut=2)
    x = graph.pool(graph.windows(x, [2, 3], simd=2, depthwise=True), "AccPool", [2, 3], 2)
    generate(graph.model(), tmp_path, PYNQ.part, 100)
    frames = graph.frames(12)
    images = torch.as_tensor(frames.reshape(-1, 9, 8, 4), dtype=torch.float64).permute(0, 3, 1, 2)
    wanted = functional.max_pool2d(images, 3, 1)
    wanted = functional.avg_pool2d(wanted, 2).floor()
    wanted = functional.avg_pool2d(wanted, [2, 3], 1, divisor_override=1)
    wanted = wanted.permute(0, 2, 3, 1).reshape(len(frames), -1).numpy()
    simulator = Simulator(tmp_path, models, optimise=False)
    for stall in STALLS:
        assert np.array_equal(simulator.run(frames, stall=stall).outputs[:12], wanted), stall


def test_what_no_kernel_computes_is_refused(finn, tmp_path):
    refused = {
        "is no integer": pool("AvgPool", 4, 2, [2, 2], [2, 2], "UINT4"),
        "-5 to 3 do not fit its output type INT3": pool(
            "QuantAvgPool", 4, 2, [3, 3], [2, 2], "INT3"
        ),
        "takes integers": pool("MaxPool", 4, 2, [2, 2], [2, 2], "FLOAT32"),
    }
    stretched = upsample(4, 2, [2, 2], [2, 2], "UINT4")
    getCustomOp(stretched.graph.node[0]).set_nodeattr("WO", 5)
    refused["2x2 pixels can't become 4x5"] = stretched
    for message, model in refused.items():
        with pytest.raises(HwflowError, match=f"layer: .*{message}"):
            generate_node(model, model.graph.node[0], tmp_path, PYNQ.part, 100)
