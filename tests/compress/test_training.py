"""Training: learns, repeats itself bit for bit, chooses on validation, says when it diverges."""

import json

import pytest
import torch

from hwflow import networks
from hwflow.compress import STAGES, StageContext, accuracy
from hwflow.compress.training import Batches
from hwflow.costs import network_costs
from hwflow.data import load
from hwflow.errors import HwflowError
from hwflow.recipe import Digits, Mlp, Quantize, Train

NETWORK = Mlp(name="mlp", widths=(32,))


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


def train(data, folder, stage="train", seed=0, **settings):
    kinds = {"train": Train, "quantize": Quantize}
    model = networks.build(NETWORK, data.shape, data.classes, seed)
    notes = []
    context = StageContext(data, seed, folder, lambda text, fraction: notes.append(fraction))
    outcome = STAGES[stage].run(model, kinds[stage](kind=stage, **settings), context)
    return outcome, notes


@pytest.mark.parametrize("stage", ["train", "quantize"])
def test_the_same_seed_gives_the_same_bits(data, tmp_path, stage):
    outcomes = [train(data, tmp_path / str(n), stage, epochs=2)[0] for n in range(2)]
    first, again = (outcome.model.state_dict() for outcome in outcomes)
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert outcomes[0].metrics == outcomes[1].metrics


def test_it_learns_says_how_far_it_is_and_leaves_a_log(data, tmp_path):
    outcome, notes = train(data, tmp_path, epochs=10, learning_rate=0.01)
    assert outcome.metrics["test_accuracy"] > 0.9
    assert outcome.metrics["test_accuracy"] == accuracy(outcome.model, data, data.test)
    assert notes == [pytest.approx((n + 1) / 10) for n in range(10)]
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_the_checkpoint_that_did_best_on_validation_is_taken(data, tmp_path):
    outcome, _ = train(data, tmp_path, epochs=4, learning_rate=0.05, schedule="constant")
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=False)
    scores = [
        float(value["best_model_score"])
        for key, value in best["callbacks"].items()
        if "ModelCheckpoint" in key
    ]
    assert outcome.metrics["validation_accuracy"] == pytest.approx(scores[0], abs=1e-6)


def test_a_diverging_training_says_so(data, tmp_path):
    with pytest.raises(HwflowError, match="diverged") as caught:
        train(data, tmp_path, epochs=30, optimizer="sgd", learning_rate=1e30)
    assert "learning_rate" in str(caught.value)


def test_every_epoch_shows_every_sample_once_in_a_new_order(data):
    batches = Batches(data, data.validation, 16, seed=0)
    epochs = [torch.cat([labels for _, labels, *_ in batches]) for _ in range(2)]
    whole = len(data.validation) // 16 * 16
    assert [len(epoch) for epoch in epochs] == [whole, whole]
    assert not torch.equal(epochs[0], epochs[1])
    unshuffled = Batches(data, data.validation, 16, seed=None)
    labels = torch.cat([labels for _, labels, *_ in unshuffled])
    assert labels.tolist() == data.validation.labels.tolist()


def test_costs_count_what_the_quantized_network_stores_and_computes(data, tmp_path):
    settings = {"epochs": 0, "weight_bits": 3, "activation_bits": 2}
    outcome, _ = train(data, tmp_path, "quantize", **settings)
    costs = network_costs(outcome.model, data.shape)
    assert costs.macs == 64 * 32 + 32 * 10
    assert costs.weight_bits == 3 * costs.macs
    assert costs.bops == 3 * 5 * 64 * 32 + 3 * 2 * 32 * 10
    assert json.dumps(outcome.structure)
