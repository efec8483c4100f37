"""Files of Brevitas's exporters, old and new, and of what QKeras models are converted to."""

import copy
import warnings

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from brevitas.export import export_onnx_qcdq, export_qonnx
from brevitas.quant import (
    Int32Bias,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
)
from torch import nn

from hwflow.board import load_board
from hwflow.dataflow.lower import lower
from hwflow.emulate import Emulator
from hwflow.exchange.reference import Reference
from hwflow.recipe import Hardware
from tests.support.model_files import File, checked, kinds, saved


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        shared = {"bit_width": 4, "return_quant_tensor": True}
        self.quant = qnn.QuantIdentity(bit_width=8, return_quant_tensor=True)
        self.first = qnn.QuantConv2d(3, 8, 3, padding=1, bias=False, weight_bit_width=4)
        self.norm = nn.BatchNorm2d(8)
        self.act = qnn.QuantReLU(**shared)
        self.depth = qnn.QuantConv2d(8, 8, 3, padding=1, groups=8, bias=False, weight_bit_width=3)
        self.join = qnn.QuantIdentity(**shared)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.last_quant = qnn.QuantIdentity(bit_width=6, return_quant_tensor=True)
        self.last = qnn.QuantLinear(8, 4, bias=False, weight_bit_width=4)

    def forward(self, x):
        x = self.join(self.act(self.norm(self.first(self.quant(x)))))
        x = x + self.join(self.depth(x))
        x = self.pool(x.value if hasattr(x, "value") else x)
        return self.last(torch.flatten(self.last_quant(x), 1))


def mlp():
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        qnn.QuantLinear(8, 6, bias=True, weight_bit_width=4),
        nn.BatchNorm1d(6),
        qnn.QuantReLU(bit_width=3, return_quant_tensor=True),
        qnn.QuantLinear(6, 4, bias=True, weight_bit_width=3, bias_quant=Int32Bias),
    )


def binary():
    act = {"act_quant": SignedBinaryActPerTensorConst, "bit_width": 1}
    weight = {"weight_quant": SignedBinaryWeightPerTensorConst, "weight_bit_width": 1}
    return nn.Sequential(
        qnn.QuantIdentity(**act),
        qnn.QuantLinear(8, 16, bias=False, **weight),
        nn.BatchNorm1d(16),
        qnn.QuantIdentity(**act),
        qnn.QuantLinear(16, 4, bias=False, **weight),
    )


def pooled():
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
        qnn.QuantConv2d(3, 6, 3, stride=2, padding=1, bias=True, weight_bit_width=4),
        qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
        qnn.TruncAvgPool2d(2, bit_width=4, float_to_int_impl_type="floor"),
        nn.Flatten(),
        qnn.QuantLinear(24, 4, bias=False, weight_bit_width=2),
    )


def signal():
    return nn.Sequential(
        qnn.QuantIdentity(bit_width=8),
        qnn.QuantConv1d(2, 4, 3, padding=1, bias=False, weight_bit_width=4),
        nn.BatchNorm1d(4),
        qnn.QuantReLU(bit_width=4),
        nn.MaxPool1d(2),
        nn.Flatten(),
        qnn.QuantLinear(16, 4, bias=False, weight_bit_width=4),
    )


CASES = {
    "mlp": (mlp, (8,)),
    "binary": (binary, (8,)),
    "pooled": (pooled, (3, 8, 8)),
    "residual": (Residual, (3, 8, 8)),
    "signal": (signal, (2, 8)),
}


def brevitas_file(folder, name, exporter, dynamo):
    torch.manual_seed(0)
    make, shape = CASES[name]
    model = make().train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.3)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        model(torch.rand(8, *shape) * 2 - 1)  # Scales are learned from what comes.
        path = folder / f"{name}.onnx"
        exporter(
            copy.deepcopy(model.eval()), torch.rand(1, *shape), export_path=str(path), dynamo=dynamo
        )
    return path, model, shape


@pytest.mark.parametrize(
    ("name", "exporter", "dynamo"),
    [
        *((name, export_qonnx, False) for name in CASES),
        ("mlp", export_qonnx, True),
        ("pooled", export_qonnx, True),
        ("mlp", export_onnx_qcdq, False),
        ("residual", export_onnx_qcdq, False),
        ("signal", export_onnx_qcdq, False),
    ],
)
def test_a_file_of_brevitas_is_understood(tmp_path, name, exporter, dynamo):
    path, model, shape = brevitas_file(tmp_path, name, exporter, dynamo)
    imported = checked(path)
    assert imported.kind.startswith("QCDQ" if exporter is export_onnx_qcdq else "QONNX")
    x = torch.rand(8, *shape) * 2 - 1
    with torch.no_grad():
        wanted = model(x)
    wanted = getattr(wanted, "value", wanted).numpy()
    trace = Reference(imported.normal.model).run(x.numpy())
    assert np.abs(trace.logits - wanted).max() < 1e-4


def test_a_truncating_pool_keeps_its_codes(tmp_path):
    imported = checked(brevitas_file(tmp_path, "pooled", export_qonnx, False)[0])
    assert kinds(imported).count("Trunc") == 1
    assert imported.normal.model.opset_import[1].version == 2


def test_a_truncation_of_the_first_version_is_understood(tmp_path):
    file = File(1, 2, 4, 4)
    x = file.quant("input", 0.25, 4.0, signed=False)
    x = file.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = file.add("Mul", x, 4.0)
    x = file.add("Trunc", x, 0.25, 0.0, 6.0, 4.0, rounding_mode="FLOOR")
    x = file.add("Flatten", x)
    x = file.add("MatMul", x, file.weights(8, 3))
    imported = checked(saved(file.model(x, 1, 3), tmp_path))
    assert imported.normal.model.opset_import[1].version == 1


# -------------------------------------------------------------------------------- QKeras


def qkeras_file(batch="unk__0"):
    """A convolutional QKeras model as tf2onnx and qonnx convert it: channels last outside of the
    convolutions, kernels quantized as HWIO and transposed, biases added, softmax at the end."""
    random = np.random.default_rng(3)
    file = File(batch, 6, 6, 2)

    def quantized(x, bits, signed, scale):
        return file.add(
            *("Quant", x, np.float32(scale), np.float32(0), np.int64(bits)),
            domain="qonnx",
            signed=signed,
            narrow=0,
            rounding_mode="ROUND",
        )

    def convolution(x, inputs, outputs, **attributes):
        x = file.add("Transpose", x, perm=[0, 3, 1, 2])
        kernel = quantized(random.normal(0, 0.4, (3, 3, inputs, outputs)), 4, 1, 0.125)
        kernel = file.add("Transpose", kernel, perm=[3, 2, 0, 1])
        x = file.add("Conv", x, kernel, kernel_shape=[3, 3], **attributes)
        return file.add("Transpose", x, perm=[0, 2, 3, 1])

    x = quantized("input", 8, 1, 1 / 128)
    x = convolution(x, 2, 4, auto_pad="SAME_UPPER", strides=[2, 2])
    x = file.add("Add", x, quantized(random.normal(0, 0.2, 4), 6, 1, 1 / 16))
    x = quantized(file.add("Relu", x), 3, 0, 0.25)
    x = file.add("Pad", x, np.asarray([0, 1, 1, 0, 0, 1, 0, 0]))
    x = convolution(x, 4, 6, auto_pad="VALID")
    x = file.add("Mul", x, random.uniform(0.5, 1.5, 6))
    x = quantized(file.add("Relu", x), 4, 0, 0.125)
    x = file.add("Reshape", x, np.asarray([-1, 3 * 2 * 6]))
    x = file.add("MatMul", x, quantized(random.normal(0, 0.5, (36, 3)), 4, 1, 0.125))
    x = file.add("Add", x, quantized(random.normal(0, 0.2, 3), 8, 1, 1 / 128))
    return file, file.add("Softmax", x, axis=-1)


def test_a_converted_qkeras_model_is_understood_channels_last_and_all(tmp_path):
    file, output = qkeras_file()
    imported = checked(saved(file.model(output, "unk__0", 3, opset=11), tmp_path))
    assert imported.shape == (2, 6, 6)
    assert imported.normal.axes == (0, 2, 3, 1)
    assert imported.normal.head == "Softmax"
    assert "Transpose" not in kinds(imported)
    conv = [node for node in imported.normal.model.graph.node if node.op_type == "Conv"]
    pads = [next(list(a.ints) for a in node.attribute if a.name == "pads") for node in conv]
    assert pads == [[0, 0, 1, 1], [1, 1, 1, 0]]


def test_a_dynamic_batch_is_fixed_by_the_flag(tmp_path):
    file, output = qkeras_file()
    path = saved(file.model(output, "unk__0", 3, opset=11), tmp_path)
    given = checked(path, batch=5).normal.model.graph.input[0].type.tensor_type
    assert given.shape.dim[0].dim_value == 1


def test_dense_layers_along_the_channels_and_means_are_convolutions_and_pools(tmp_path):
    file = File(1, 4, 4, 3)
    x = file.quant("input", 1 / 16, 4.0)
    x = file.add("Transpose", x, perm=[0, 3, 1, 2])
    x = file.add("Conv", x, file.weights(5, 3, 3, 3), kernel_shape=[3, 3])
    x = file.add("Transpose", x, perm=[0, 2, 3, 1])
    x = file.quant(file.add("Relu", x), 0.25, 4.0, signed=False)
    x = file.add("MatMul", x, file.weights(5, 6, seed=1))
    x = file.quant(file.add("Relu", x), 0.5, 4.0, signed=False)
    x = file.add("ReduceMean", x, axes=[1, 2], keepdims=0)
    x = file.quant(x, 0.5, 4.0, signed=False)
    x = file.add("Gemm", x, file.weights(4, 6, seed=2), transB=1, alpha=0.5)
    imported = checked(saved(file.model(x, 1, 4), tmp_path))
    assert kinds(imported).count("Conv") == 2
    assert "GlobalAveragePool" in kinds(imported)


def test_flattened_channels_last_permute_the_weights(tmp_path):
    file, output = qkeras_file(1)
    imported = checked(saved(file.model(output, 1, 3, opset=11), tmp_path))
    assert kinds(imported).count("Flatten") == 1
    assert kinds(imported).count("MatMul") == 1


@pytest.mark.parametrize("name", ["pooled", "residual", "signal", "qkeras"])
def test_imported_images_lower_to_hardware_that_computes_the_same(finn, tmp_path, name):
    if name == "qkeras":
        file, output = qkeras_file()
        path = saved(file.model(output, "unk__0", 3, opset=11), tmp_path)
    else:
        path = brevitas_file(tmp_path, name, export_qonnx, False)[0]
    imported = checked(path)
    normal = saved(imported.normal.model, tmp_path, "normal.onnx")
    lowered = lower(normal, None, Hardware(), load_board("pynq-z2"))
    inputs = np.random.default_rng(0).uniform(*imported.normal.reach, (24, *imported.shape))
    trace = Reference(normal).run(inputs)
    codes = np.moveaxis(next(iter(trace.codes.values())), 1, -1)
    emulator = Emulator(lowered.model)
    layers = emulator.run_layers(codes)
    assert np.array_equal(layers[emulator.output].reshape(-1), trace.logits.argmax(axis=1))
    for quantizer, tensor in lowered.quantizers.items():
        wanted = np.moveaxis(trace.codes[quantizer], 1, -1)
        if tensor in layers and wanted.ndim > 2:
            assert np.array_equal(layers[tensor].reshape(wanted.shape), wanted), quantizer
