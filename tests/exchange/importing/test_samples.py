"""What an imported network is verified on: data, a file, or random inputs; and what is refused."""

import numpy as np
import pytest
from onnx import TensorProto

from hwflow.data import Encoding
from hwflow.errors import HwflowError, RequestError
from hwflow.exchange.importing import samples
from hwflow.exchange.importing.execution import compare
from hwflow.exchange.importing.importer import choose_samples, import_model
from hwflow.recipe import Digits, ImportedModel
from hwflow.recipe.model import InputMeaning
from tests.support.model_files import File, saved

PIXELS = InputMeaning(minimum=0, maximum=1, bits=8)


def network(folder, *shape, element=TensorProto.FLOAT):
    """A linear layer behind a quantizer of the input, 0 to 1."""
    file = File(1, *shape, element=element)
    x = file.quant("input", 1 / 255, 8.0, signed=False)
    if len(shape) > 1:
        x = file.add("Flatten", x)
    x = file.add("MatMul", x, file.weights(int(np.prod(shape)), 10))
    return saved(file.model(x, 1, 10), folder)


def chosen(path, data=None, arrays=None, **settings):
    if arrays is not None:
        np.savez(path.parent / "in.npz", **arrays)
        settings["inputs"] = "in.npz"
    model = ImportedModel(qonnx=path.name, **settings)
    imported = import_model(path, model)
    return choose_samples(imported, model, data, 0, path.parent)


def refused(path, arrays, **settings):
    with pytest.raises(RequestError) as raised:
        chosen(path, arrays=arrays, **settings)
    assert raised.value.hint
    return raised.value.message


def test_a_data_set_keeps_its_codes_and_labels(tmp_path):
    data, said = chosen(network(tmp_path, 64), Digits(name="digits"))
    assert data.labelled
    assert data.encoding == Encoding(1 / 16, 0.0, 0, 16)
    assert data.test.inputs.shape == (359, 64)
    assert np.array_equal(np.unique(data.test.labels), np.arange(10))
    assert said == "the test split of digits, 359 samples"


def test_a_declared_meaning_holds_for_the_data_too(tmp_path):
    meaning = InputMeaning(minimum=0, maximum=255, bits=8)
    data, _ = chosen(network(tmp_path, 1, 8, 8), Digits(name="digits"), input=meaning)
    assert data.encoding == Encoding(1.0, 0.0, 0, 255)
    assert data.floats(data.test).max() == 16


def test_data_of_another_shape_are_refused(tmp_path):
    with pytest.raises(RequestError, match=r"digits's samples have the shape \(1, 8, 8\)"):
        chosen(network(tmp_path, 10), Digits(name="digits"))


def test_random_inputs_fill_the_range_and_follow_from_the_seed(tmp_path):
    path = network(tmp_path, 4)
    data, said = chosen(path, samples=1000)
    assert not data.labelled
    assert data.encoding is None
    assert data.test.inputs.dtype == np.float32
    assert data.test.inputs[0].tolist() == [0] * 4
    assert data.test.inputs[1].tolist() == [1] * 4
    assert np.all((data.test.inputs >= 0) & (data.test.inputs <= 1))
    assert "1000 random inputs" in said
    assert "0 to 1" in said
    assert "no labels" in said
    again, _ = chosen(path, samples=1000)
    assert np.array_equal(again.test.inputs, data.test.inputs)
    coded, said = chosen(path, samples=1000, input=PIXELS)
    assert np.array_equal(np.unique(coded.test.inputs), np.arange(256))
    assert "codes 0 to 255 for 0 to 1" in said


def test_a_file_of_real_values_is_rounded_to_codes_and_of_integers_taken(tmp_path):
    path = network(tmp_path, 4)
    floats = np.asarray([[0, 0.5, 1, 0.2509], [1, 1, 1, 1]])
    data, said = chosen(path, arrays={"inputs": floats}, input=PIXELS)
    assert data.test.inputs.tolist() == [[0, 128, 255, 64], [255] * 4]
    assert said == "2 inputs of in.npz, no labels"
    integers = np.asarray([[0, 7, 255, 9]], np.uint8)
    data, said = chosen(path, arrays={"inputs": integers, "labels": [3]}, input=PIXELS)
    assert data.test.inputs.tolist() == integers.tolist()
    assert data.labelled
    assert said == "1 inputs of in.npz, with labels"
    assert chosen(path, arrays={"inputs": floats})[0].encoding is None


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"inputs": np.zeros((3, 5))}, r"in.npz: inputs has the shape \(3, 5\)"),
        ({"inputs": np.zeros(4)}, "has the shape"),
        ({"inputs": np.zeros((0, 4))}, "has the shape"),
        ({"x": np.zeros((3, 4))}, "has no array 'inputs'"),
        ({"inputs": np.full((3, 4), 1.5)}, "1.5 in sample 0 is out of the range 0 to 1 .* 11"),
        ({"inputs": np.full((3, 4), -1)}, "-1 in sample 0 is out of the range 0 to 255"),
        ({"inputs": np.full((3, 4), np.nan)}, "not finite"),
        ({"inputs": np.full((3, 4), "a")}, "holds <U1"),
        ({"inputs": np.zeros((3, 4)), "labels": np.zeros(2, int)}, r"labels has the shape \(2,\)"),
        ({"inputs": np.zeros((3, 4)), "labels": np.zeros(3)}, "type float64"),
        ({"inputs": np.zeros((3, 4)), "labels": np.asarray([0, 1, 10])}, "the class 10"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(tmp_path, arrays, says):
    with pytest.raises(RequestError, match=says):
        chosen(network(tmp_path, 4), arrays=arrays, input=PIXELS)


def test_a_file_of_inputs_that_is_none_is_refused(tmp_path):
    path = network(tmp_path, 4)
    with pytest.raises(RequestError, match=r"gone\.npz: no such file"):
        chosen(path, inputs="gone.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    with pytest.raises(RequestError, match=r"is no whole \.npz file"):
        chosen(path, inputs="bad.npz")


def test_a_range_that_is_not_known_is_asked_for(tmp_path):
    file = File(1, 4)
    x = file.quant(file.add("Relu", "input"), 0.5, 4.0, signed=False)
    path = saved(file.model(file.add("MatMul", x, file.weights(4, 3)), 1, 3), tmp_path)
    with pytest.raises(RequestError, match="range of the model's input is not known"):
        chosen(path)
    assert chosen(path, input=PIXELS)[0].encoding is not None


def test_samples_are_kept_as_they_are(tmp_path):
    labelled, _ = chosen(network(tmp_path, 64), Digits(name="digits"))
    unlabelled, _ = chosen(network(tmp_path, 4), samples=9)
    for number, data in enumerate((labelled, unlabelled)):
        folder = tmp_path / str(number)
        folder.mkdir()
        samples.save(data, folder)
        again = samples.load(folder)
        assert np.array_equal(again.test.inputs, data.test.inputs)
        assert np.array_equal(again.test.labels, data.test.labels)
        assert (again.encoding, again.labelled) == (data.encoding, data.labelled)
        assert (again.shape, again.classes) == (data.shape, data.classes)


def test_a_network_that_is_not_the_files_is_found(tmp_path):
    path = network(tmp_path, 4)
    imported = import_model(path, ImportedModel(qonnx="net.onnx"))
    other = network(tmp_path, 4)
    weights = next(t for t in imported.file.graph.initializer if list(t.dims) == [4, 10])
    from onnx import numpy_helper

    changed = np.roll(numpy_helper.to_array(weights), 1, axis=0)
    weights.CopyFrom(numpy_helper.from_array(changed, weights.name))
    inputs = np.random.default_rng(0).uniform(0, 1, (20, 4)).astype(np.float32)
    with pytest.raises(HwflowError, match=r"own execution \(qonnx\) differ in \d+ of 20 samples"):
        compare(imported.file, other, imported.normal, inputs, None)


def test_a_batch_that_the_file_can_not_take_is_said(tmp_path):
    file = File(3, 4)
    x = file.quant("input", 1 / 255, 8.0, signed=False)
    x = file.add("Reshape", x, np.asarray([3, 4]))
    path = saved(file.model(file.add("MatMul", x, file.weights(4, 10)), 3, 10), tmp_path)
    imported = import_model(path, ImportedModel(qonnx="net.onnx"))
    inputs = np.random.default_rng(0).uniform(0, 1, (7, 4)).astype(np.float32)
    assert compare(imported.file, path, imported.normal, inputs, 3).samples == 7
    with pytest.raises(HwflowError, match="can't execute the file on 2 frames") as raised:
        compare(imported.file, path, imported.normal, inputs, 2)
    assert "model.batch" in str(raised.value.hint)
