"""QCDQ files written by hand, as onnxruntime's own quantizer and others write them."""

import numpy as np
import pytest
from onnx import TensorProto

from hwflow.errors import RequestError
from hwflow.exchange.importing.importer import import_model
from hwflow.exchange.reference import Reference
from hwflow.recipe import ImportedModel
from tests.support.model_files import File, checked, kinds, saved


def activation(file, x, scale, zero, clip=None):
    """QuantizeLinear, perhaps Clip, DequantizeLinear."""
    codes = file.add("QuantizeLinear", x, scale, zero)
    if clip is not None:
        ends = (np.asarray(end, zero.dtype) for end in clip)
        codes = file.add("Clip", codes, *ends)
    return file.add("DequantizeLinear", codes, scale, zero)


def integers(*shape, bits=4, seed=0):
    most = 2 ** (bits - 1) - 1
    return np.random.default_rng(seed).integers(-most, most + 1, shape).astype(np.int8)


def quantizer_of(imported, place=0):
    """Codes of an activation over a sweep of the input's range."""
    reference = Reference(imported.normal.model)
    low, high = imported.normal.reach
    sweep = np.linspace(low - 1, high + 1, 4001)
    inputs = np.repeat(sweep[:, None], imported.shape[0], axis=1)
    return np.unique(list(reference.run(inputs).codes.values())[place])


@pytest.mark.parametrize(
    ("zero", "clip", "codes"),
    [
        (np.uint8(0), None, (0, 255)),
        (np.int8(0), None, (-128, 127)),
        (np.uint8(128), None, (-128, 127)),
        (np.int8(0), (-7, 7), (-7, 7)),
        (np.int8(0), (-8, 7), (-8, 7)),
        (np.uint8(0), (0, 15), (0, 15)),
        (np.int8(0), (-5, 6), (-5, 6)),
        (np.uint8(3), (0, 15), (-3, 12)),
    ],
)
def test_quantizers_keep_their_codes_whatever_their_zero_point(tmp_path, zero, clip, codes):
    file = File(1, 4)
    x = activation(file, "input", np.float32(0.125), zero, clip)
    weights = file.add("DequantizeLinear", integers(4, 3), np.float32(0.25), np.int8(0))
    imported = checked(saved(file.model(file.add("MatMul", x, weights), 1, 3), tmp_path))
    assert kinds(imported)[-1] == "MatMul"
    found = quantizer_of(imported)
    assert np.array_equal(found, np.arange(codes[0], codes[1] + 1))
    assert imported.normal.reach == (0.125 * codes[0], 0.125 * codes[1])


def test_weights_stored_in_several_ways_become_one_form(tmp_path):
    file = File(1, 6)
    x = activation(file, "input", np.float32(1 / 64), np.int8(0))
    # Integers with one scale an output, a quantizer of floats with a Clip, and integers transposed.
    scales = np.float32([0.125, 0.25, 0.5, 0.0625, 1.0])
    first = file.add("DequantizeLinear", integers(6, 5), scales, np.zeros(5, np.int8), axis=1)
    x = file.add("MatMul", x, first)
    bias = file.add("DequantizeLinear", np.int32([5, -3, 0, 7, 1]), np.float32(1 / 512))
    x = file.add("Add", x, bias)
    x = activation(file, file.add("Relu", x), np.float32(0.125), np.uint8(0), (0, 15))
    floats = file.value(np.random.default_rng(1).normal(0, 0.5, (5, 4)))
    x = file.add("MatMul", x, activation(file, floats, np.float32(0.125), np.int8(0), (-7, 7)))
    x = activation(file, file.add("Relu", x), np.float32(0.25), np.uint8(0))
    last = file.add("DequantizeLinear", integers(3, 4, seed=2), np.float32(0.5), np.int8(0))
    x = file.add("Gemm", x, last, transB=1)
    imported = checked(saved(file.model(x, 1, 3), tmp_path))
    assert kinds(imported).count("Quant") == 3 + 3 + 1  # activations, weights, a bias
    assert not {"DequantizeLinear", "QuantizeLinear", "Clip"} & set(kinds(imported))


def test_relu6_and_other_clips_are_kept(tmp_path):
    file = File(1, 4)
    x = activation(file, "input", np.float32(0.125), np.int8(0))
    weights = file.add("DequantizeLinear", integers(4, 8), np.float32(0.25), np.int8(0))
    x = file.add("Clip", file.add("MatMul", x, weights), np.float32(0), np.float32(6))
    x = activation(file, x, np.float32(0.5), np.uint8(0), (0, 15))
    last = file.add("DequantizeLinear", integers(8, 3), np.float32(0.5), np.int8(0))
    imported = checked(saved(file.model(file.add("MatMul", x, last), 1, 3), tmp_path))
    assert kinds(imported).count("Clip") == 1


def test_an_input_of_integers_says_its_meaning_itself(tmp_path):
    file = File("N", 4, element=TensorProto.UINT8)
    x = file.add("Cast", "input", to=TensorProto.FLOAT)
    x = file.add("Div", file.add("Sub", x, 128.0), 64.0)
    weights = file.add("DequantizeLinear", integers(4, 3), np.float32(0.25), np.int8(0))
    x = activation(file, x, np.float32(1 / 64), np.int8(0))
    imported = checked(saved(file.model(file.add("MatMul", x, weights), "N", 3), tmp_path))
    assert (imported.code.minimum, imported.code.maximum) == (0, 255)
    assert imported.meaning == "codes 0 to 255 for 0 to 255"


def test_an_input_that_is_quantized_already_is_scaled(tmp_path):
    file = File(1, 4, element=TensorProto.INT8)
    x = file.add("DequantizeLinear", "input", np.float32(0.125), np.int8(0))
    weights = file.add("DequantizeLinear", integers(4, 3), np.float32(0.25), np.int8(0))
    imported = checked(saved(file.model(file.add("MatMul", x, weights), 1, 3), tmp_path))
    assert (imported.code.minimum, imported.code.maximum) == (-128, 127)
    assert "Quant" in kinds(imported)


@pytest.mark.parametrize("division", [True, False])
def test_an_input_without_a_quantizer_gets_that_of_its_meaning(tmp_path, division):
    file = File(1, 4)
    x = file.add("Div", "input", 255.0) if division else "input"
    x = file.add("MatMul", x, file.weights(4, 3))
    path = saved(file.model(x, 1, 3), tmp_path)
    meaning = {"minimum": 0, "maximum": 255 if division else 1, "bits": 8}
    imported = checked(path, input=meaning)
    reference = Reference(imported.normal.model)
    ends = np.repeat([[0.0], [meaning["maximum"]]], 4, axis=1)
    (codes,) = reference.run(ends).codes.values()
    assert codes.tolist() == [[0] * 4, [255] * 4]
    with pytest.raises(RequestError, match="the network's input enters it without a quantizer"):
        import_model(path, ImportedModel(qonnx=path.name))


def test_integers_with_an_annotated_type_are_quantized_weights(tmp_path):
    file = File(1, 4)
    x = file.quant("input", 0.125, 4.0)
    weights = file.value(integers(4, 3).astype(np.float64))
    model = file.model(file.add("Mul", file.add("MatMul", x, weights), 0.25), 1, 3)
    annotation = model.graph.quantization_annotation.add()
    annotation.tensor_name = weights
    entry = annotation.quant_parameter_tensor_names.add()
    entry.key, entry.value = "finn_datatype", "INT4"
    checked(saved(model, tmp_path))
