"""A model file alone, from the command line to a verified accelerator; and requests that are
refused."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from hwflow.build.request import prepare
from hwflow.errors import RequestError
from tests.support.command import run
from tests.support.model_files import File, saved


def network(folder, name="my net.onnx", widths=(16, 8, 4)):
    """A small quantized perceptron, its batch dimension dynamic."""
    file = File("N", widths[0])
    x = file.quant("input", 1 / 128, 8.0)
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        if number:
            x = file.quant(file.add("Relu", x), 0.25, 3.0, signed=False)
        x = file.add("MatMul", x, file.weights(inputs, outputs, bits=3, seed=number))
    x = file.add("Softmax", x, axis=1)
    return saved(file.model(x, "N", widths[-1]), folder, name)


def test_a_model_file_builds_and_verifies_with_nothing_else_said(tmp_path):
    path = network(tmp_path)
    build = ("build", path.name, "--board", "pynq-z2")
    build += ("--set", "hardware.synthesis=false", "--set", "verify.rtl_frames=20")
    first = run(*build, cwd=tmp_path)
    assert first.code == 0, first.err
    assert first.steps("finished") == ["check", "import", "dataflow", "rtl", "sim"]
    place = tmp_path / "runs" / "my-net-pynq-z2"
    report = json.loads((place / "report.json").read_text())
    assert report["network"] == "my net.onnx"
    assert report["data"] == "random inputs"
    assert report["stages"] == []
    found = report["imported"]
    assert found["format"] == "QONNX, opset 13"
    assert found["tool"] == "qonnx"
    assert found["head"] == "Softmax"
    assert found["samples"] == 256
    assert found["max_abs"] < 1e-4
    assert "256 random inputs" in found["verified_on"]
    assert "no labels" in found["verified_on"]
    verified = report["verification"]
    assert verified["software"]["metric"] is None
    assert verified["emulator"] == {
        "samples": 256,
        "metric": None,
        "mismatches": 0,
        "difference": None,
    }
    assert verified["rtl"]["mismatches"] == 0
    assert verified["rtl"]["samples"] == 20
    words = " ".join(first.out.split())
    assert found["verified_on"] in words
    assert "emulator 0 mismatches in 256; rtl 0 mismatches in 20 under 3 stall patterns" in words
    assert "test accuracy" not in words
    page = (place / "report.html").read_text()
    assert found["verified_on"] in page
    assert "Test accuracy after each stage" not in page
    assert "| verified |" in run("report", place, "--format", "md").out
    # Nothing runs again, and the run is verified by itself, without the file.
    again = run(*build, cwd=tmp_path)
    assert again.steps("cached") == ["check", "import", "dataflow", "rtl", "sim"]
    path.unlink()
    alone = run("verify", place, "--samples", "30", cwd=tmp_path)
    assert alone.code == 0, alone.err
    assert "rtl 0 mismatches in 30" in " ".join(alone.out.split())


def test_a_file_that_ends_with_top_k_gives_its_classes_in_order(tmp_path):
    file = File("N", 8)
    x = file.add("MatMul", file.quant("input", 0.25, 3.0), file.weights(8, 6, bits=2))
    x = file.add("Softmax", x, axis=1)
    outputs = ["values", "classes"]
    file.nodes.append(helper.make_node("TopK", [x, file.value(np.asarray([5]))], outputs))
    model = file.model("classes", "N", 5)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    saved(model, tmp_path)
    inputs = np.random.default_rng(0).uniform(-1, 0.75, (40, 8))
    np.savez(tmp_path / "in.npz", inputs=inputs, labels=np.arange(40) % 6)
    build = ("build", "net.onnx", "--board", "pynq-z2", "--inputs", "in.npz")
    build += ("--set", "hardware.synthesis=false")
    found = run(*build, cwd=tmp_path)
    assert found.code == 0, found.err
    assert "(the first of 5 classes)" in " ".join(found.out.split())
    place = tmp_path / "runs" / "net-pynq-z2"
    report = json.loads((place / "report.json").read_text())
    assert report["imported"]["head"] == "Softmax"
    assert report["imported"]["top_k"] == report["hardware"]["top_k"] == 5
    assert report["hardware"]["output"].startswith("5 unsigned 3-bit labels a frame")
    verified = report["verification"]
    for execution in ("software", "emulator", "rtl"):
        assert verified[execution]["metric"] == verified["software"]["metric"] is not None
    assert verified["emulator"]["mismatches"] == verified["rtl"]["mismatches"] == 0
    assert verified["rtl"]["samples"] == 40
    page = (place / "report.html").read_text()
    assert "5 classes, that of the greatest logit first" in page
    assert "Accuracy, first of 5 classes" in page


def test_inputs_of_a_file_and_a_recipe_with_a_model(tmp_path):
    network(tmp_path, "net.onnx")
    inputs = np.random.default_rng(0).uniform(-1, 0.99, (40, 16))
    np.savez(tmp_path / "in.npz", inputs=inputs, labels=np.zeros(40, int))
    recipe = "model:\n  qonnx: net.onnx\nhardware: {target_fps: 1000000}\n"
    (tmp_path / "built.yaml").write_text(recipe)
    build = ("build", "built.yaml", "--board", "pynq-z2", "--until", "import")
    result = run(*build, "--inputs", "in.npz", cwd=tmp_path)
    assert result.code == 0, result.err
    assert "40 inputs of in.npz, with labels" in " ".join(result.out.split())
    # Other inputs are another import.
    np.savez(tmp_path / "in.npz", inputs=inputs[:30] + 9)
    result = run(*build, "--inputs", "in.npz", "--json", cwd=tmp_path)
    assert result.steps("finished") == ["check", "import"]
    assert json.loads(result.out)["imported"]["verified_on"] == "30 inputs of in.npz, no labels"


def test_a_file_that_hardware_does_not_take_fails_the_import_with_its_reason(tmp_path):
    file = File(1, 8)
    saved(file.model(file.add("MatMul", "input", np.zeros((8, 4))), 1, 4), tmp_path)
    result = run("build", "net.onnx", "--board", "pynq-z2", cwd=tmp_path)
    assert result.code == 2
    assert "Traceback" not in result.err
    message = result.err[result.err.index("error:") :]
    assert "the model holds no quantizers" in message
    assert "help: quantize it" in message


@pytest.mark.parametrize(
    ("model", "overrides", "inputs", "says"),
    [
        ("gone.onnx", [], None, "gone.onnx: no such file"),
        ("net.onnx", ["model.bach=1"], None, "--set model.bach=1: model.bach: there is no such"),
        ("net.onnx", ["network.name=mlp"], None, "a recipe with `model` has no `network`"),
        ("net.onnx", ["data.name=digits"], "in.npz", "model.inputs: there is `data` too"),
        ("net.onnx", ["model.input={minimum: 1, maximum: 0}"], None, "maximum must be greater"),
        ("digits-mlp", [], "in.npz", "model: the key `qonnx` is missing"),
    ],
)
def test_requests_that_can_not_be_met_are_refused_before_any_work(
    tmp_path, monkeypatch, model, overrides, inputs, says
):
    monkeypatch.chdir(tmp_path)
    network(tmp_path, "net.onnx")
    with pytest.raises(RequestError) as raised:
        prepare(model, "pynq-z2", None, overrides, None if inputs is None else Path(inputs))
    assert says in raised.value.message
    assert raised.value.hint


def test_a_model_file_has_a_name_that_a_folder_can_have(tmp_path):
    path = network(tmp_path, "a (b), c.onnx")
    build = prepare(str(path), "pynq-z2")
    assert build.run_dir == Path("runs/a-b-c-pynq-z2")
    assert build.recipe.model.qonnx == path.name
    assert build.loaded.base == tmp_path
