"""Files that can't be built: one clear error each, which says what, where and what to do."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwflow.errors import RequestError
from hwflow.exchange.importing.importer import import_model
from hwflow.exchange.importing.reading import newest_opset
from hwflow.recipe import ImportedModel
from hwflow.recipe.model import InputMeaning
from tests.support.model_files import File, saved


def refused(path, **settings):
    with pytest.raises(RequestError) as raised:
        import_model(path, ImportedModel(qonnx=path.name, **settings))
    assert raised.value.hint
    assert "\n" not in raised.value.message
    return f"{raised.value.message} / {raised.value.hint}"


def good(*shape):
    """A file with a quantized input, and that."""
    file = File(1, *shape)
    return file, file.quant("input", 0.125, 4.0)


def linear(bits=4, opset=13):
    file, x = good(8)
    x = file.add("MatMul", x, file.weights(8, 4, bits=bits))
    return file.model(x, 1, 4, opset=opset)


# ------------------------------------------------------------------------------ the file itself


def test_a_file_that_is_not_there(tmp_path):
    assert "gone.onnx: no such file" in refused(tmp_path / "gone.onnx")


def test_a_folder(tmp_path):
    assert "Is a directory" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0", b"seed: 1\n" * 9, b""])
def test_a_file_that_is_no_onnx(tmp_path, content):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    message = refused(path)
    assert "is not an ONNX file" in message or "holds no ONNX graph" in message


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_short(tmp_path, part):
    path = saved(linear(), tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    message = refused(path)
    assert "damaged or cut short" in message or "holds no ONNX graph" in message


@pytest.mark.parametrize("cut", [None, 10])
def test_external_data_that_is_missing_or_cut_short(tmp_path, cut):
    path = tmp_path / "net.onnx"
    onnx.save_model(
        linear(), str(path), save_as_external_data=True, location="net.data", size_threshold=0
    )
    import_model(path, ImportedModel(qonnx="net.onnx"))
    data = tmp_path / "net.data"
    if cut is None:
        data.unlink()
    else:
        data.write_bytes(data.read_bytes()[:cut])
    message = refused(path)
    assert "net.data" in message
    assert ("is not there" if cut is None else "cut short after 10 bytes") in message


def test_external_data_outside_of_the_folder(tmp_path):
    model = linear()
    tensor = model.graph.initializer[0]
    (tmp_path / "secret").write_bytes(bytes(64))
    (tmp_path / "models").mkdir()
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret"
    assert "can't be read" in refused(saved(model, tmp_path / "models"))


def test_an_opset_that_is_too_new(tmp_path):
    message = refused(saved(linear(opset=newest_opset() + 1), tmp_path))
    assert f"uses opset {newest_opset() + 1}" in message
    assert f"opset_version={newest_opset()}" in message


def test_several_inputs(tmp_path):
    model = linear()
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, 8]))
    assert "2 inputs (input, mask)" in refused(saved(model, tmp_path))


def test_several_outputs(tmp_path):
    model = linear()
    model.graph.output.append(helper.make_tensor_value_info("tQuant0", TensorProto.FLOAT, [1, 8]))
    assert "2 outputs" in refused(saved(model, tmp_path))


def test_inputs_of_another_type(tmp_path):
    model = linear()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    assert "elements of type INT64" in refused(saved(model, tmp_path))


def test_a_shape_that_is_not_there(tmp_path):
    model = linear()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    path = saved(model, tmp_path)
    assert "has no shape" in refused(path)
    assert import_model(path, ImportedModel(qonnx="net.onnx", shape=(8,))).shape == (8,)


def test_a_size_that_is_not_there(tmp_path):
    model = linear()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "features"
    path = saved(model, tmp_path)
    message = refused(path)
    assert "has the shape 1 x ?" in message
    assert "--set 'model.shape=" in message
    assert import_model(path, ImportedModel(qonnx="net.onnx", shape=(8,))).shape == (8,)


def test_a_shape_that_is_another(tmp_path):
    assert "model.shape is 9, but the file says 8" in refused(saved(linear(), tmp_path), shape=(9,))


def test_no_batch_dimension(tmp_path):
    file = File(8)
    x = file.add("MatMul", file.quant("input", 0.5, 4.0), file.weights(8, 4))
    assert "without a batch dimension" in refused(saved(file.model(x, 4), tmp_path))


# ------------------------------------------------------------------------------- what is in it


def float_network():
    file = File(1, 8)
    return file.model(file.add("MatMul", "input", np.zeros((8, 4))), 1, 4)


def float_weights():
    file, x = good(8)
    return file.model(file.add("MatMul", x, np.zeros((8, 4))), 1, 4)


def volume():
    file, x = good(2, 4, 4, 4)
    return file.model(file.add("Conv", x, file.weights(4, 2, 3, 3, 3)), 1, 4, 2, 2, 2)


def grouped():
    file, x = good(8, 6, 6)
    x = file.add("Conv", x, file.weights(8, 2, 3, 3), group=4)
    return file.model(file.add("GlobalAveragePool", x), 1, 8, 1, 1)


def unsupported():
    file, x = good(8)
    x = file.add("MatMul", x, file.weights(8, 4))
    x = file.quant(file.add("Einsum", x, equation="ij->ij"), 0.125, 4.0)
    return file.model(file.add("MatMul", x, file.weights(4, 4)), 1, 4)


def foreign():
    file, x = good(8)
    return file.model(file.add("Attention", x, domain="com.microsoft"), 1, 8)


def minifloats():
    file = File(1, 8)
    x = file.add("FloatQuant", "input", *np.float32([1, 4, 3, 7, 240]))
    return file.model(x, 1, 8)


def wide_activation():
    file = File(1, 8)
    x = file.quant("input", 0.01, 12.0)
    return file.model(file.add("MatMul", x, file.weights(8, 4)), 1, 4)


def broken_bits():
    file = File(1, 8)
    return file.model(file.quant("input", 0.1, 3.5), 1, 8)


def zero_point():
    file = File(1, 8)
    x = file.add("Quant", "input", 0.1, 3.0, 4.0, signed=0, narrow=0, rounding_mode="ROUND")
    return file.model(file.add("MatMul", x, file.weights(8, 4)), 1, 4)


def scale_an_input():
    file, x = good(8)
    scales = np.linspace(0.1, 0.2, 8)[:, None]
    return file.model(file.add("MatMul", x, file.weights(8, 4, scale=scales)), 1, 4)


def products():
    file, x = good(8)
    return file.model(file.add("Mul", x, x), 1, 8)


def segmentation():
    file, x = good(2, 6, 6)
    return file.model(file.add("Conv", x, file.weights(4, 2, 3, 3)), 1, 4, 4, 4)


def one_output():
    file, x = good(8)
    return file.model(file.add("MatMul", x, file.weights(8, 1)), 1, 1)


def behind_softmax():
    file, x = good(8)
    x = file.add("Softmax", file.add("MatMul", x, file.weights(8, 4)), axis=1)
    x = file.quant(file.add("Mul", x, 2.0), 0.125, 4.0)
    return file.model(file.add("MatMul", x, file.weights(4, 4)), 1, 4)


def falling():
    file, x = good(8)
    x = file.add("LeakyRelu", file.add("MatMul", x, file.weights(8, 4)), alpha=-0.2)
    return file.model(file.add("MatMul", file.quant(x, 0.125, 4.0), file.weights(4, 4)), 1, 4)


def softmax_of_an_image():
    file, x = good(2, 4, 4)
    x = file.quant(file.add("Softmax", x, axis=1), 0.125, 4.0)
    return file.model(file.add("GlobalAveragePool", x), 1, 2, 1, 1)


def unflattened():
    file, x = good(2, 4, 4)
    return file.model(file.add("MatMul", x, file.weights(4, 4)), 1, 2, 4, 4)


def odd_padding():
    file, x = good(2, 4, 4)
    x = file.add("Pad", x, np.asarray([0, 0, 1, 1, 0, 0, 1, 1]))
    x = file.add("MaxPool", x, kernel_shape=[6, 6])
    return file.model(x, 1, 2, 1, 1)


def ceiling():
    file, x = good(2, 5, 5)
    x = file.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    return file.model(x, 1, 2, 3, 3)


def constant_channels():
    file, x = good(2, 5, 5)
    x = file.add("Concat", x, np.zeros((1, 1, 5, 5)), axis=1)
    return file.model(file.add("GlobalAveragePool", x), 1, 3, 1, 1)


def zero_point_of_nine_bits():
    file = File(1, 8)
    scale, zero = np.float32(0.1), np.int8(-4)
    x = file.add("QuantizeLinear", "input", scale, zero)
    x = file.add("DequantizeLinear", x, scale, zero)
    return file.model(file.add("MatMul", x, file.weights(8, 4)), 1, 4)


def loose_integers():
    file = File(1, 8)
    x = file.add("QuantizeLinear", "input", np.float32(0.1), np.int8(0))
    return file.model(file.add("Relu", x), 1, 8)


def another_scale():
    file = File(1, 8)
    x = file.add("QuantizeLinear", "input", np.float32(0.1), np.int8(0))
    x = file.add("DequantizeLinear", x, np.float32(0.2), np.int8(0))
    return file.model(file.add("MatMul", x, file.weights(8, 4)), 1, 4)


def training():
    file, x = good(8)
    ones = [np.ones(8)] * 4
    x = file.add("BatchNormalization", x, *ones, training_mode=1)
    return file.model(file.add("MatMul", x, file.weights(8, 4)), 1, 4)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (float_network, ["the model holds no quantizers", "export that as QONNX or QCDQ"]),
        (float_weights, ["MatMul1: its weights are floats, not quantized"]),
        (lambda: linear(bits=9), ["MatMul2: its weights have 9 bits", "at most 8"]),
        (volume, ["1 x 2 x 4 x 4 x 4: 3-D images are not supported"]),
        (grouped, ["Conv2: a convolution in 4 groups of 8 channels", "depthwise"]),
        (unsupported, ["Einsum3: Einsum of activations is not supported", "supported are"]),
        (foreign, ["Attention of com.microsoft is not supported"]),
        (minifloats, ["FloatQuant0: minifloats"]),
        (wide_activation, ["Quant0: an activation of 12 bits", "at most 8 bits"]),
        (broken_bits, ["Quant0: the quantizer has 3.5 bits", "whole numbers"]),
        (zero_point, ["Quant0: the quantizer has the zero point 3", "symmetric"]),
        (scale_an_input, ["MatMul2: its weights have one scale an input", "per output"]),
        (products, ["Mul1: Mul of two activations is not supported"]),
        (segmentation, ["the output tConv2 has the shape (1, 4, 4, 4)", "classifiers"]),
        (one_output, ["is a single number", "at least two"]),
        (falling, ["LeakyRelu3: LeakyRelu with the slope -0.2 falls", "slope >= 0"]),
        (softmax_of_an_image, ["Softmax1: Softmax is supported at the end of a network only"]),
        (
            behind_softmax,
            ["Softmax3: Softmax is supported at the end of a network only, and Mul4 (Mul)"],
        ),
        (unflattened, ["MatMul2: MatMul of an activation of the shape", "flatten"]),
        (odd_padding, ["zeros are put around its input, and a MaxPool", "convolution"]),
        (ceiling, ["AveragePool1: an average pool with ceil_mode", "ceil_mode=0"]),
        (constant_channels, ["Concat1: a constant and activations are concatenated"]),
        (zero_point_of_nine_bits, ["9 bits: its zero point -4 makes the integers -124 to 131"]),
        (loose_integers, ["Relu1: Relu of integers between QuantizeLinear"]),
        (another_scale, ["DequantizeLinear1: its scale or zero point is not that"]),
        (training, ["BatchNormalization1: the batch norm is in training mode", "eval mode"]),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_what_hardware_does_not_take_is_named(tmp_path, make, says):
    message = refused(saved(make(), tmp_path))
    for words in says:
        assert words in message


def test_an_input_scaled_by_channel_needs_a_quantizer(tmp_path):
    file = File(1, 2, 4, 4)
    x = file.add("Div", "input", np.asarray([[[1.0]], [[2.0]]]))
    x = file.add("Flatten", file.add("Conv", x, file.weights(4, 2, 4, 4)))
    message = refused(
        saved(file.model(x, 1, 4), tmp_path), input=InputMeaning(minimum=0, maximum=255)
    )
    assert "no multiples of one step" in message
