"""QONNX and QCDQ: both say what the trained network says, and a difference is found."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from hwflow import networks
from hwflow.compress import STAGES, StageContext
from hwflow.data import load
from hwflow.errors import HwflowError
from hwflow.exchange.agreement import check_agreement
from hwflow.exchange.export import export
from hwflow.exchange.reference import Reference
from hwflow.recipe import Digits, FcPreset, Mlp, Quantize


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


def trained(data, folder, network, **settings):
    model = networks.build(network, data.shape, data.classes, 0)
    stage = Quantize(kind="quantize", epochs=2, learning_rate=0.01, **settings)
    return STAGES["quantize"].run(model, stage, StageContext(data, 0, folder)).model


@pytest.mark.parametrize(
    ("network", "settings", "qcdq"),
    [
        (Mlp(name="mlp", widths=(16,)), {}, True),
        (Mlp(name="mlp", widths=(16,)), {"weight_scaling": "per_channel", "weight_bits": 3}, True),
        (Mlp(name="mlp", widths=(16,), batch_norm=False), {"scale": "power_of_two"}, True),
        (Mlp(name="mlp", widths=(16,)), {"weight_bits": "ternary", "activation_bits": 2}, True),
        (FcPreset(name="tfc"), {"weight_bits": 2, "activation_bits": 2, "input_bits": 2}, True),
        (FcPreset(name="tfc"), {"weight_bits": 1, "activation_bits": 1, "input_bits": 1}, False),
    ],
)
def test_all_files_agree_with_the_trained_network(data, tmp_path, network, settings, qcdq):
    model = trained(data, tmp_path, network, **settings)
    exported = export(model, data.shape, tmp_path / "export")
    inputs = data.floats(data.validation)
    agreement = check_agreement(model, exported, inputs)
    assert agreement.samples == len(inputs)
    assert agreement.undecided <= len(inputs) // 20
    assert max(agreement.qonnx_max_abs, agreement.reference_max_abs) < 1e-4
    assert (exported.qcdq is not None) == qcdq
    if qcdq:
        assert agreement.qcdq_max_abs < 1e-4
    else:
        assert "binary" in exported.qcdq_skipped
    with torch.inference_mode():
        wanted = model(torch.from_numpy(inputs)).argmax(1).numpy()
    got = Reference(exported.qonnx).run(inputs).logits.argmax(1)
    assert np.mean(wanted == got) > 0.97


def test_a_bias_that_int32_does_not_hold_leaves_qcdq_out_with_its_reason(data, tmp_path):
    model = trained(data, tmp_path, Mlp(name="mlp", widths=(16,)))
    scales = [p for n, p in model.named_parameters() if n.endswith("scaling_impl.value")]
    with torch.no_grad():
        scales[-1].fill_(1e-10)  # As of an activation that is always 0.
    exported = export(model, data.shape, tmp_path / "export")
    assert exported.qcdq is None
    assert "input is always 0" in exported.qcdq_skipped
    assert "32-bit integers" in exported.qcdq_skipped
    agreement = check_agreement(model, exported, data.floats(data.validation))
    assert agreement.qcdq_max_abs is None
    assert max(agreement.qonnx_max_abs, agreement.reference_max_abs) < 1e-4


@pytest.mark.parametrize("file", ["qonnx", "qcdq"])
def test_a_file_that_says_something_else_is_found(data, tmp_path, file):
    model = trained(data, tmp_path, Mlp(name="mlp", widths=(16,)))
    exported = export(model, data.shape, tmp_path / "export")
    path = getattr(exported, file)
    graph = onnx.load(str(path))
    weights = max(
        (t for t in graph.graph.initializer if len(t.dims) == 2), key=lambda t: np.prod(t.dims)
    )
    values = np.roll(numpy_helper.to_array(weights), 1, axis=0)
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    onnx.save(graph, str(path))
    with pytest.raises(HwflowError, match="differ in"):
        check_agreement(model, exported, data.floats(data.validation))


def test_logits_may_differ_by_their_size(data, tmp_path):
    """float32 has seven digits, whether logits are 1 or 1000."""
    model = trained(data, tmp_path, Mlp(name="mlp", widths=(16,)))
    last = [m for m in model.modules() if hasattr(m, "weight_quant") and hasattr(m, "weight")][-1]
    with torch.no_grad():
        last.weight *= 3000
    exported = export(model, data.shape, tmp_path / "export")
    agreement = check_agreement(model, exported, data.floats(data.validation))
    assert 1e-4 < agreement.reference_max_abs < 1e-2
