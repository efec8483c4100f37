"""Networks divided between accelerator and host: where, and that they compute what they did."""

from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import helper

from hwflow.data import Dataset, Split
from hwflow.dataflow.integers import InputCode
from hwflow.emulate import Emulator
from hwflow.errors import HwflowError, RequestError
from hwflow.exchange.importing.importer import import_model
from hwflow.exchange.reference import Reference
from hwflow.host import Software, divide
from hwflow.host.agreement import check_division
from hwflow.host.software import HostFile
from hwflow.recipe import ImportedModel
from hwflow.simulate import Waveform
from hwflow.verify.waveform import record
from tests.support.model_files import File, saved

FRAMES = 40
random = np.random.default_rng(5)


def normal(model, folder):
    """A file as the import leaves it: QONNX with all shapes known."""
    path = saved(model, folder, "file.onnx")
    return import_model(path, ImportedModel(qonnx=path.name)).normal.model


def real_data(*shape, spread=1.0):
    """Real values; a data set that all splits are."""
    inputs = np.random.default_rng(7).normal(0, spread, (FRAMES, *shape)).astype(np.float32)
    split = Split(inputs, np.zeros(FRAMES, np.int64))
    return Dataset("random", 2, shape, split, split, split, None)


def operations(part):
    return [op for _, op in part.operations]


def divided(model, data, folder, code=None):
    """A division, saved; software and the integer graph agree in all frames, and the whole network
    computes the same."""
    division = divide(model, code)
    division.save(folder)
    software = Software(folder)
    check_division(model, software, data, data.test)
    codes = software.codes(data, data.test)
    emulated = Emulator(specialised(division.graph)).run(codes)
    outcome = software.run(data, data.test, codes)
    assert np.array_equal(emulated, outcome.output(emulated.shape[1]))
    assert np.array_equal(software.classes(emulated), outcome.logits.argmax(axis=1))
    return division, software


def specialised(graph):
    from hwflow.dataflow.bipolar import WidenBipolar
    from hwflow.dataflow.branches import DuplicateBranches
    from hwflow.dataflow.specialise import SpecialiseToRtl

    for transformation in (WidenBipolar(), DuplicateBranches(), SpecialiseToRtl()):
        graph = graph.transform(transformation)
    return graph


def only(file, kinds):
    """Whether an ONNX file is valid and has operations of ONNX alone, of some kinds."""
    onnx.checker.check_model(file, full_check=True)
    assert {o.domain for o in file.opset_import} <= {"", "ai.onnx"}
    return [node.op_type for node in file.graph.node if node.op_type in kinds]


# ------------------------------------------------------------------------------------- the head


@pytest.mark.parametrize("mode", ["ROUND", "FLOOR", "CEIL"])
def test_the_head_rounds_as_its_quantizer_does_and_gives_codes_channels_last(finn, tmp_path, mode):
    file = File(1, 3, 4, 5)
    x = file.add("Mul", "input", np.asarray([[[0.5]], [[2.0]], [[-1.0]]]))
    x = file.quant(x, 0.3, 3.0, rounding_mode=mode)
    x = file.add("Flatten", file.add("Conv", x, file.weights(4, 3, 4, 5)))
    data = real_data(3, 4, 5)
    data.test.inputs[0].flat[:6] = np.float32([0.3, 0.15, -0.15, 0.45, 5, -5])  # Ties and ends.
    division, software = divided(normal(file.model(x, 1, 4), tmp_path), data, tmp_path)
    assert division.tail is None
    assert operations(division.head) == ["Mul", "Quant"]
    values = data.test.inputs.astype(np.float64) * np.asarray([[[0.5]], [[2.0]], [[-1.0]]])
    round_ = {"ROUND": np.rint, "FLOOR": np.floor, "CEIL": np.ceil}[mode]
    wanted = np.clip(round_(values / np.float64(np.float32(0.3))), -4, 3)
    made = HostFile(division.head.file).run(data.test.inputs)
    assert made.dtype == np.int32
    assert np.array_equal(made, np.moveaxis(wanted, 1, -1))
    assert np.array_equal(software.codes(data, data.test), made.reshape(FRAMES, -1))


def test_the_codes_of_real_data_are_exactly_the_references(finn, tmp_path):
    """Inputs on ties and beside them, which float32 would round to the other side."""
    file = File(1, 64)
    x = file.add("Div", file.add("Sub", "input", np.linspace(-0.1, 0.1, 64)), 0.7)
    x = file.add("MatMul", file.quant(x, 0.037, 8.0), file.weights(64, 3))
    model = normal(file.model(x, 1, 3), tmp_path)
    data = real_data(64, spread=3.0)
    steps = (np.arange(FRAMES * 64).reshape(FRAMES, 64) % 255 - 127.5) * np.float32(0.037)
    data.test.inputs[:] = steps * 0.7 + np.linspace(-0.1, 0.1, 64)
    division, software = divided(model, data, tmp_path)
    codes = software.codes(data, data.test)
    trace = Reference(model).run(data.floats(data.test, np.float64))
    assert np.array_equal(codes, next(iter(trace.codes.values())))
    assert only(division.head.file, {"Div", "Round"}) == ["Div", "Div", "Round"]


def test_binary_codes_of_a_head(finn, tmp_path):
    file = File(1, 6)
    x = file.add("BipolarQuant", file.add("Tanh", "input"), 0.5)
    x = file.add("MatMul", x, file.weights(6, 3))
    data = real_data(6)
    data.test.inputs[0] = 0  # Counts as positive.
    division, _ = divided(normal(file.model(x, 1, 3), tmp_path), data, tmp_path)
    codes = HostFile(division.head.file).run(data.test.inputs)
    assert np.array_equal(codes, np.where(data.test.inputs >= 0, 1, -1))


def test_integers_go_in_as_they_are_unless_a_head_must_come_first(finn, tmp_path):
    code = InputCode(1 / 8, 0.0, -8, 7)

    def network(first):
        file = File(1, 8)
        x = first(file)
        x = file.quant(x, 0.125, 4.0)
        return normal(file.model(file.add("MatMul", x, file.weights(8, 3)), 1, 3), tmp_path)

    assert divide(network(lambda file: "input"), code).head is None
    head = divide(network(lambda file: file.add("Erf", "input")), code).head
    assert operations(head) == ["Erf", "Quant"]


# ------------------------------------------------------------------------------------- the tail


def image_core(file):
    x = file.quant("input", 0.25, 4.0)
    return file.add(
        "Conv", x, file.weights(4, 2, 3, 3, scale=2.0 ** -np.arange(2, 6)[:, None, None, None])
    )


def test_the_tail_takes_integers_channels_last_and_goes_on_as_numpy_does(finn, tmp_path):
    file = File(1, 2, 5, 4)
    x = file.add("Mul", image_core(file), np.asarray([[[1.0]], [[-2.0]], [[0.5]], [[1.0]]]))
    x = file.add("Add", x, np.asarray([[[0.1]], [[0.2]], [[0.3]], [[0.4]]]))
    weights = random.normal(0, 1, (24, 3))
    x = file.add("MatMul", file.add("Flatten", file.add("Softplus", x)), weights)
    data = real_data(2, 5, 4)
    division, software = divided(normal(file.model(x, 1, 3), tmp_path), data, tmp_path)
    # As late as possible: the scale and the bias are in what the integers mean.
    assert operations(division.tail) == ["Softplus", "Flatten", "MatMul"]
    assert division.output.shape == (4, 3, 2)
    integers = random.integers(-50, 50, (FRAMES, 3, 2, 4))
    scale = 0.25 * 2.0 ** -np.arange(2, 6) * [1, -2, 0.5, 1]
    values = np.moveaxis(integers * scale + np.float32([0.1, 0.2, 0.3, 0.4]), -1, 1)
    wanted = np.log1p(np.exp(values)).reshape(FRAMES, -1) @ weights
    made = HostFile(division.tail.file).run(integers.astype(np.int32))
    assert made.dtype == np.float32
    assert np.allclose(made, wanted, rtol=1e-5, atol=1e-5)
    assert np.array_equal(software.classes(integers.reshape(FRAMES, -1)), wanted.argmax(axis=1))
    assert only(division.tail.file, {"Conv", "Softplus"}) == ["Softplus"]


def test_a_flattened_image_keeps_the_networks_order_in_the_tail(finn, tmp_path):
    file = File(1, 2, 5, 4)
    x = file.add("Erf", file.add("Flatten", image_core(file)))
    x = file.add("MatMul", x, random.normal(0, 1, (24, 3)))
    division, _ = divided(normal(file.model(x, 1, 3), tmp_path), real_data(2, 5, 4), tmp_path)
    assert operations(division.tail) == ["Erf", "MatMul"]
    assert division.output.places.tolist() == [
        (h * 2 + w) * 4 + c for c in range(4) for h in range(3) for w in range(2)
    ]


def hidden(file, features=8, width=6):
    return file.add("MatMul", file.quant("input", 0.125, 4.0), file.weights(features, width))


def test_what_two_hardware_tensors_lead_to_begins_where_there_is_one(finn, tmp_path):
    """Scaled and not scaled sums are multiplied: the accelerator ends with the sums."""
    file = File(1, 8)
    x = hidden(file)
    x = file.add("Mul", file.add("Add", x, np.arange(6.0)), x)
    x = file.add("MatMul", x, random.normal(0, 1, (6, 3)))
    division, _ = divided(normal(file.model(x, 1, 3), tmp_path), real_data(8), tmp_path)
    assert operations(division.tail) == ["Add", "Mul", "MatMul"]
    assert division.graph.graph.node[-1].op_type == "MVAU"


def test_what_is_no_line_of_the_integers_is_the_hosts(finn, tmp_path):
    file = File(1, 8)
    x = file.add("Relu", file.add("Add", hidden(file), np.linspace(-1, 1, 6)))
    x = file.add("Gemm", x, random.normal(0, 1, (6, 3)), np.zeros(3))
    division, _ = divided(normal(file.model(x, 1, 3), tmp_path), real_data(8), tmp_path)
    assert operations(division.tail) == ["Relu", "Gemm"]


def test_codes_of_the_last_quantizer_are_put_out(finn, tmp_path):
    file = File(1, 8)
    x = file.quant(file.add("Relu", hidden(file)), 0.25, 3.0, signed=False)
    x = file.add("Gemm", x, random.normal(0, 1, (6, 3)), np.zeros(3))
    division, software = divided(normal(file.model(x, 1, 3), tmp_path), real_data(8), tmp_path)
    assert operations(division.tail) == ["Gemm"]
    assert division.graph.graph.node[-1].op_type == "Thresholding"
    assert np.all(software.meaning.scale == 0.25)
    assert np.all(software.meaning.zero == 0)


def test_classes_whose_scales_can_not_be_compared_as_integers_are_the_hosts(finn, tmp_path):
    file = File(1, 8)
    x = file.quant("input", 0.125, 4.0)
    x = file.add("MatMul", x, file.weights(8, 3, scale=np.asarray([[0.1, 0.15, 0.23]])))
    division, _ = divided(normal(file.model(x, 1, 3), tmp_path), real_data(8), tmp_path)
    assert operations(division.tail) == []


def test_quantizers_in_the_tail_are_written_out(finn, tmp_path):
    file = File(1, 8)
    x = file.quant(file.add("Erf", hidden(file)), 0.06, 4.0, narrow=1)
    x = file.add("MatMul", file.add("Trunc", x, 0.06, 0.0, 4.0, 3.0), random.normal(0, 1, (6, 3)))
    division, _ = divided(normal(file.model(x, 1, 3), tmp_path), real_data(8), tmp_path)
    assert operations(division.tail) == ["Erf", "Quant", "Trunc", "MatMul"]
    assert only(division.tail.file, {"Quant", "Clip", "Floor"}) == ["Clip", "Floor"]


def test_a_file_that_treats_frames_together_is_run_frame_by_frame(finn, tmp_path):
    file = File(1, 8)
    x = file.add("Add", file.add("Sum", hidden(file), np.zeros(6)), np.zeros(6))
    model = normal(file.model(x, 1, 6), tmp_path)
    data = real_data(8)
    _, software = divided(model, data, tmp_path)
    assert software.tail.batch == 1
    assert software.head.batch > 1


# -------------------------------------------------------------------------------- what stays wrong


def deep(middle, end=lambda file, x: x):
    """Two quantized layers, and what is between and behind them."""
    file = File(1, 8)
    x = file.quant(middle(file, hidden(file)), 0.25, 4.0)
    x = end(file, file.add("MatMul", x, file.weights(6, 3)))
    return file.model(x, 1, 3)


def test_an_operation_between_quantized_layers_is_named_with_reason_and_remedy(finn, tmp_path):
    model = normal(deep(lambda file, x: file.add("Relu", x)), tmp_path)
    node = next(n for n in model.graph.node if n.op_type == "Relu")
    node.op_type = "Erf"
    with pytest.raises(HwflowError) as raised:
        divide(model, None)
    message = str(raised.value)
    assert f"{node.name}: Erf can't be lowered (Erf between quantized layers" in message
    assert "let it be one of" in message


def test_a_quantized_layer_is_never_moved_to_the_host(finn, tmp_path):
    model = normal(deep(lambda file, x: x), tmp_path)
    quant = next(n for n in model.graph.node if n.output[0] == model.graph.node[0].output[0])
    last = [n for n in model.graph.node if n.op_type == "MatMul"][-1]
    before = next(n for n in model.graph.node if n.output[0] == last.input[0])
    assert quant.op_type == before.op_type == "Quant"
    last.input[0] = before.input[0]  # Its input is not quantized any more.
    with pytest.raises(HwflowError, match=f"{last.name}: its input"):
        divide(model, None)


def test_what_lies_before_a_quantized_layer_without_a_quantizer_is_an_error(finn, tmp_path):
    file = File(1, 8)
    model = normal(file.model(hidden(file), 1, 6), tmp_path)
    quant = next(n for n in model.graph.node if n.input[0] == "input")
    quant.CopyFrom(helper.make_node("Erf", ["input"], [quant.output[0]], name="norm"))
    with pytest.raises(HwflowError) as raised:
        divide(model, InputCode(1.0, 0.0, 0, 7))
    assert "norm: Erf can't be lowered; nor can the host run it" in raised.value.message
    assert "put a quantizer in front of MatMul" in raised.value.hint


# ----------------------------------------------------------------------------------- what reads it


class Recorder:
    """In a simulator's place: what it would have been given."""

    def __init__(self, bound):
        self.design = SimpleNamespace(bound_cycles=bound)
        self.codes = None

    def run(self, codes, waveform):
        self.codes = codes


def test_a_waveform_is_of_the_heads_codes(finn, tmp_path):
    file = File(1, 8)
    x = hidden(file)
    model = normal(file.model(x, 1, 6), tmp_path)
    data = real_data(8)
    division, software = divided(model, data, tmp_path)
    specialised(division.graph).save(str(tmp_path / "hardware.onnx"))
    simulator = Recorder(bound=10)
    record(simulator, data, software, tmp_path, Waveform(tmp_path / "w.vcd", 100, 400))
    codes = software.codes(data, data.test)
    assert np.array_equal(simulator.codes, np.resize(codes, (52, 8)))


def test_a_folder_of_another_version_says_so(tmp_path):
    with pytest.raises(RequestError, match=r"holds no network\.onnx"):
        Software(tmp_path)
