"""Networks that can't be traced are quantized layer by layer, for export; what a build counts of
them and of attention."""

import pytest
import torch
from torch import nn

from hwflow.compress import STAGES, StageContext, load_checkpoint, save_checkpoint
from hwflow.costs import network_costs
from hwflow.data import load
from hwflow.errors import RequestError
from hwflow.exchange.agreement import check_agreement
from hwflow.exchange.export import export
from hwflow.recipe import Digits, Quantize
from tests.compress.quantize.networks import SHAPE
from tests.compress.quantize.test_export_only import made

pytestmark = pytest.mark.slow


class Encoder(nn.Module):
    """A transformer of torch.nn, whose layers keep their own to themselves."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.last = nn.Linear(64, 10)

    def forward(self, x):
        return self.last(self.encoder(x.flatten(1, 2)).flatten(1))


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


def test_a_transformer_trains_reloads_and_exports(data, tmp_path):
    torch.manual_seed(0)
    policies = [{"layers": r".*linear1", "weight_bits": 2}]
    settings = Quantize(
        kind="quantize", epochs=2, learning_rate=0.01, target="export", policies=policies
    )
    stage = STAGES["quantize"]
    stage.check(Encoder(), settings)
    outcome = stage.run(Encoder(), settings, StageContext(data, 0, tmp_path))
    assert outcome.metrics["test_accuracy"] > 0.5
    save_checkpoint(tmp_path, outcome)
    model = load_checkpoint(tmp_path, stage, Encoder(), settings).model
    inputs = torch.from_numpy(data.floats(data.test))
    with torch.no_grad():  # As a built network is run, and where torch.nn has a way past layers.
        assert torch.equal(outcome.model(inputs), model(inputs))
    layer = model.encoder.layers[0]
    bits = [layer.linear1, layer.linear2, layer.self_attn.out_proj]
    assert [module.weight_quant.bit_width() for module in bits] == [2, 4, 4]
    exported = export(model, SHAPE, tmp_path / "export")
    agreement = check_agreement(model, exported, data.floats(data.validation))
    assert max(agreement.qonnx_max_abs, agreement.qcdq_max_abs) < 1e-4
    assert agreement.reference_max_abs is None


class Attending(nn.Module):
    """Attention beside a shortcut: to itself, or of one half of the image to the other."""

    def __init__(self, crossed, batch_first):
        super().__init__()
        self.layer = nn.MultiheadAttention(8, 2, batch_first=batch_first)
        self.last, self.crossed = nn.Linear(32 if crossed else 64, 10), crossed
        self.turned = not batch_first

    def forward(self, x):
        x = x.flatten(1, 2)
        x = x.transpose(0, 1) if self.turned else x
        axis = 0 if self.turned else 1
        query = x.narrow(axis, 0, 4) if self.crossed else x
        x = query + self.layer(query, x, x)[0]
        return self.last((x.transpose(0, 1) if self.turned else x).flatten(1))


@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_attention_meets_its_shortcut_in_one_scale(data, tmp_path, crossed, batch_first):
    torch.manual_seed(0)
    model = Attending(crossed, batch_first)
    settings = Quantize(kind="quantize", epochs=0, weight_bits=8, activation_bits=8)
    outcome = STAGES["quantize"].run(model, settings, StageContext(data, 0, tmp_path))
    inputs = torch.from_numpy(data.floats(data.validation))
    with torch.no_grad():
        wanted, got = model.eval()(inputs), outcome.model(inputs)
    assert (wanted - got).std() < 0.1 * wanted.std()
    exported = export(outcome.model, SHAPE, tmp_path / "export")
    agreement = check_agreement(outcome.model, exported, inputs.numpy())
    assert max(agreement.qonnx_max_abs, agreement.qcdq_max_abs) < 1e-4


@pytest.mark.parametrize("name", ["MultiheadAttention", "QuantMultiheadAttention"])
def test_what_attention_costs_is_counted(data, tmp_path, name):
    settings = Quantize(kind="quantize", epochs=0)
    outcome = STAGES["quantize"].run(made(name), settings, StageContext(data, 0, tmp_path))
    costs = network_costs(outcome.model, SHAPE)
    in_layers = network_costs(made("MultiheadAttention"), SHAPE)
    assert costs.macs == in_layers.macs > 0


@pytest.mark.parametrize(
    ("options", "says"),
    [({"accumulator_bits": 16}, "accumulator_bits"), ({"format": "e4m3"}, "minifloats")],
)
def test_what_recurrent_layers_have_no_option_for_is_said(options, says):
    with pytest.raises(RequestError, match=f"{says}.* are not options"):
        STAGES["quantize"].check(made("RNN"), Quantize(kind="quantize", target="export", **options))
