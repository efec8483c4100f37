"""Training stops where numbers are no longer finite or memory is short, and says where and why."""

import pytest
import torch
from torch import nn

from hwflow import networks
from hwflow.compress import StageContext
from hwflow.compress.safety import STEPS_BETWEEN_LOOKS, memory_errors, not_finite
from hwflow.compress.training import cross_entropy, train
from hwflow.data import load
from hwflow.errors import HwflowError
from hwflow.recipe import Digits, Mlp, Optimization

SETTINGS = Optimization(epochs=3, batch_size=100)


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


def failure(data, folder, objective, settings=SETTINGS):
    model = networks.build(Mlp(name="mlp", widths=(8,)), data.shape, data.classes, 0)
    with pytest.raises(HwflowError) as caught:
        train(model, settings, StageContext(data, 0, folder), objective=objective)
    return str(caught.value)


class FailsAt:
    """Cross entropy, but for one step."""

    def __init__(self, step, fail):
        self.step, self.fail, self.count = step, fail, 0

    def __call__(self, model, batch):
        self.count += 1
        loss = cross_entropy(model, batch)
        return self.fail(model, loss) if self.count == self.step else loss


def steps(data):
    return len(data.train) // SETTINGS.batch_size


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_is_not_finite_names_epoch_and_step_and_the_last_good_checkpoint(
    data, tmp_path, value
):
    at = FailsAt(steps(data) + 3, lambda model, loss: loss * float(value))
    message = failure(data, tmp_path, at)
    assert f"the loss is {value} in epoch 2, step 3;" in message
    best = tmp_path / "checkpoints" / "best.ckpt"
    assert str(best) in message
    state = torch.load(best, weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in state.values())
    assert at.count == steps(data) + 3  # It stopped at once.


def test_a_step_is_named_even_where_losses_are_read_later(data, tmp_path, monkeypatch):
    monkeypatch.setitem(STEPS_BETWEEN_LOOKS, "cpu", 10**6)  # As on a GPU.
    at = FailsAt(steps(data) + 3, lambda model, loss: loss * float("inf"))
    message = failure(data, tmp_path, at)
    assert "the loss is inf, and 1.weight is not finite, in epoch 2, step 3;" in message
    assert at.count == 2 * steps(data)
    state = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in state.values())


def test_without_a_finished_epoch_it_says_so(data, tmp_path):
    message = failure(data, tmp_path, FailsAt(2, lambda model, loss: loss * float("nan")))
    assert "in epoch 1, step 2; no epoch was finished before" in message


def break_weight(model, loss):
    with torch.no_grad():
        model[4].bias[3] = float("inf")
    return loss


def test_a_weight_that_is_not_finite_is_named_with_the_loss(data, tmp_path):
    message = failure(data, tmp_path, FailsAt(4, break_weight))
    assert "the loss is nan, and 4.bias is not finite, in epoch 1, step 5" in message


def test_a_weight_that_breaks_in_the_last_step_never_gets_into_a_checkpoint(data, tmp_path):
    message = failure(data, tmp_path, FailsAt(2 * steps(data), break_weight))
    assert f"4.bias is not finite in epoch 2, step {steps(data)};" in message
    state = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert state["model.4.bias"].isfinite().all()


def test_running_statistics_count_and_masks_do_not():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    model.register_buffer("mask", torch.full((2,), float("-inf")))
    assert not_finite(model) is None
    model[1].running_var[1] = float("inf")
    assert not_finite(model) == "1.running_var"


def allocate(model, loss):
    return loss + torch.empty(2**46).sum()


def test_an_allocation_that_fails_is_an_error_that_says_what_to_do(data, tmp_path):
    message = failure(data, tmp_path, FailsAt(2, allocate))
    assert "memory does not suffice for batches of 100 samples: " in message
    assert "help: lower batch_size" in message


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    ],
)
def test_every_way_to_say_so_is_understood(error):
    with pytest.raises(HwflowError, match="memory does not suffice"), memory_errors(10):
        raise error


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shapes"), memory_errors(10):
        raise RuntimeError("shapes differ")
