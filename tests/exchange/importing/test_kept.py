"""What hardware does not take at the ends of a file is kept for the host; in the middle it is an
error."""

import numpy as np
import onnx
import pytest

from hwflow.errors import RequestError
from hwflow.exchange.importing.importer import import_model
from hwflow.exchange.importing.reading import newest_opset
from hwflow.recipe import ImportedModel
from hwflow.recipe.model import InputMeaning
from tests.support.model_files import File, checked, dequantized, kinds, quantized, saved

PIXELS = InputMeaning(minimum=0, maximum=1, bits=8)
random = np.random.default_rng(3)


def floats(*shape):
    return random.normal(0, 1, shape)


def gelu(file, x, opset):
    """GELU as PyTorch exports it, or the operation of newer opsets."""
    if opset >= 20:
        return file.add("Gelu", x)
    erf = file.add("Erf", file.add("Div", x, 2.0**0.5))
    return file.add("Mul", file.add("Mul", x, file.add("Add", erf, 1.0)), 0.5)


def qonnx(opset=13):
    """A float convolution and LayerNorm before, GELU and a float layer behind."""
    file = File(1, 2, 6, 6)
    x = file.add("Conv", "input", floats(3, 2, 3, 3), floats(3))
    if opset >= 17:
        x = file.add("LayerNormalization", x, np.ones(4), np.zeros(4))
    x = file.quant(file.add("Relu", x), 0.25, 4.0, signed=False)
    x = file.add("Flatten", file.add("Conv", x, file.weights(4, 3, 4, 4)))
    x = file.quant(file.add("Relu", x), 0.5, 4.0, signed=False)
    x = gelu(file, file.add("MatMul", x, file.weights(4, 6)), opset)
    x = file.add("Gemm", x, floats(5, 6), floats(5), transB=1)
    return file.model(file.add("Softmax", x, axis=1), 1, 5, opset=opset)


def qcdq(opset):
    file = File(1, 8)
    x = file.add("Gemm", "input", floats(8, 6), floats(6))
    x = quantized(file, file.add("Elu", x), 0.05)
    x = file.add("Gemm", x, dequantized(file, floats(6, 4), 0.02), floats(4))
    x = quantized(file, file.add("Relu", x), 0.1)
    x = file.add("MatMul", x, dequantized(file, floats(4, 4), 0.02))
    x = file.add("MatMul", file.add("Exp", file.add("Neg", x)), floats(4, 3))
    return file.model(x, 1, 3, opset=opset, qonnx=None)


@pytest.mark.parametrize("opset", [13, 17, newest_opset()])
def test_both_ends_of_a_qonnx_file_are_kept(tmp_path, opset):
    imported = checked(saved(qonnx(opset), tmp_path), input=PIXELS)
    assert imported.normal.head == "Softmax"
    assert imported.meaning == "codes of a quantizer behind what the host runs, inputs 0 to 1"
    found = kinds(imported)
    assert found[0] == "Conv"
    assert ("LayerNormalization" in found) == (opset >= 17)
    assert found[-1] == "Gemm"
    assert ("Gelu" if opset >= 20 else "Erf") in found
    versions = {o.domain: o.version for o in imported.normal.model.opset_import}
    assert versions[""] == opset
    onnx.checker.check_model(imported.normal.model)


@pytest.mark.parametrize("opset", [10, 13])
def test_both_ends_of_a_qcdq_file_are_kept(tmp_path, opset):
    imported = checked(saved(qcdq(opset), tmp_path), input=PIXELS)
    found = kinds(imported)
    assert found[0] == "Gemm"
    assert found[-1] == "MatMul"
    assert {"Elu", "Exp", "Quant"} <= set(found)
    assert "QuantizeLinear" not in found
    assert {o.domain: o.version for o in imported.normal.model.opset_import}[""] == 13


def test_what_follows_softmax_keeps_it(tmp_path):
    file = File(1, 8)
    x = file.add("MatMul", file.quant("input", 0.125, 4.0), file.weights(8, 4))
    x = file.add("Mul", file.add("Softmax", x, axis=1), 2.0)
    imported = checked(saved(file.model(x, 1, 4), tmp_path))
    assert imported.normal.head is None
    assert imported.meaning.startswith("codes of the first quantizer")
    assert kinds(imported)[-2:] == ["Softmax", "Mul"]


def test_channels_last_in_the_file_are_so_for_what_is_kept(tmp_path):
    """A mean over the channels of an image that lies channels last, behind the quantized layers."""
    file = File(1, 5, 5, 3)
    x = file.quant("input", 0.125, 4.0)
    x = file.add("Transpose", x, perm=[0, 3, 1, 2])
    x = file.add("Conv", x, file.weights(4, 3, 3, 3))
    x = file.add("Transpose", x, perm=[0, 2, 3, 1])
    x = file.add("Mul", x, np.asarray([1.0, -2.0, 0.5, 3.0]))
    x = file.add("ReduceMax", x, axes=[1, 2], keepdims=0)
    x = file.add("Softplus", x)
    assert "Softplus" in kinds(checked(saved(file.model(x, 1, 4), tmp_path)))


def refused(model, tmp_path):
    path = saved(model, tmp_path)
    with pytest.raises(RequestError) as raised:
        import_model(path, ImportedModel(qonnx=path.name))
    return f"{raised.value.message} / {raised.value.hint}"


def test_in_the_middle_it_is_an_error(tmp_path):
    file = File(1, 8)
    x = file.add("MatMul", file.quant("input", 0.125, 4.0), file.weights(8, 4))
    x = file.quant(gelu(file, x, 13), 0.25, 4.0)
    model = file.model(file.add("MatMul", x, file.weights(4, 3)), 1, 3)
    message = refused(model, tmp_path)
    assert "Erf4: Erf of activations is not supported" in message
    assert "supported are" in message


def test_without_a_quantizer_behind_it_it_is_an_error(tmp_path):
    file = File(1, 8)
    x = file.add("Erf", file.quant("input", 0.125, 4.0))
    model = file.model(file.add("MatMul", x, file.weights(8, 4)), 1, 4)
    assert "Erf1: Erf of activations" in refused(model, tmp_path)


def test_what_several_quantized_layers_lead_to_is_an_error(tmp_path):
    file = File(1, 8)
    x = file.quant("input", 0.125, 4.0)
    first, second = (file.add("MatMul", x, file.weights(8, 4, seed=n)) for n in (1, 2))
    model = file.model(file.add("Mul", first, second), 1, 4)
    assert "Mul5: Mul of two activations is not supported" in refused(model, tmp_path)
