"""The cubic schedule, and what follows it: thresholds, the regularizer, what is evaluated."""

import math

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from hwflow.compress.prune.gates import Gates
from hwflow.compress.prune.plan import Plan, Subject
from hwflow.compress.prune.regularizer import RegularizedLoss
from hwflow.compress.prune.schedule import CubicSchedule, Scheduler
from hwflow.compress.stage import StageContext
from hwflow.compress.training import train
from hwflow.data import load
from hwflow.recipe import Digits, Prune
from hwflow.recipe.optimization import Optimization
from hwflow.recipe.stages.prune import Regularizer


@pytest.mark.parametrize(("steps", "warm_up", "cool_down"), [(100, 0.1, 0.3), (37, 0, 0.5)])
def test_it_holds_goes_cubically_and_holds(steps, warm_up, cool_down):
    schedule = CubicSchedule(steps, warm_up, cool_down)
    first, last = math.floor(warm_up * steps), math.floor(cool_down * steps)
    start, end = 0.9, 0.2  # tau_0 and tau_f
    for t in range(steps):
        if t < first:
            wanted = start
        elif t >= steps - last:
            wanted = end
        else:
            m = 1 - (t - first) / (steps - first - last)
            wanted = end + (start - end) * m**3
        assert start + (end - start) * schedule.progress(t) == pytest.approx(wanted)


def subject(name, kind, scores):
    gates = Gates(tuple(scores.shape), 0.0)
    gates.scores.data.copy_(scores)
    selection = Prune(kind="prune").selection(None)
    return Subject(name, kind, selection, gates)


@pytest.mark.parametrize("kind", ["l1", "l0"])
def test_the_regularizer_is_the_mean_of_each_kind_times_its_factor_and_weight(kind):
    torch.manual_seed(0)
    subjects = [
        subject("a", "attention", torch.randn(5)),
        subject("b", "attention", torch.randn(3)),
        subject("c", "conv", torch.randn(2, 2)),
    ]
    settings = Regularizer(kind=kind, weight=0.7, attention=2.0, conv=3.0, dense=100.0)
    loss = RegularizedLoss(lambda model, batch: torch.tensor(1.5), subjects, settings)
    assert not list(loss.parameters())
    shift = 0.0 if kind == "l1" else 2 / 3 * math.log(0.1 / 1.1)
    means = [float(torch.sigmoid(s.gates.scores.detach() - shift).mean()) for s in subjects]
    whole = 2 * (means[0] + means[1]) / 2 + 3 * means[2]
    for share in (0.0, 0.4, 1.0):
        loss.share = share
        found = float(loss(nn.Identity(), None).detach())
        assert found == pytest.approx(1.5 + 0.7 * share * whole, rel=1e-6)
    loss(nn.Identity(), None).backward()
    assert all((s.gates.scores.grad > 0).all() for s in subjects)


def test_steps_follow_the_schedule_and_evaluation_sees_its_end(tmp_path):
    data = load(Digits(name="digits"), 0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    seen, shares, evaluated = [], [], []
    loss = RegularizedLoss(
        lambda net, batch: shares.append(loss.share) or net(batch.inputs).square().mean(), [], None
    )
    scheduler = Scheduler(Plan(()), loss, seen.append, (0.25, 0.25))
    model.register_forward_hook(
        lambda net, args, out: evaluated.append(seen[-1]) if not net.training else None
    )
    settings = Optimization(epochs=4, batch_size=100)
    train(model, settings, StageContext(data, 0, tmp_path), objective=loss, callbacks=[scheduler])
    steps = len(shares)
    schedule = CubicSchedule(steps, 0.25, 0.25)
    assert shares == [schedule.progress(t) for t in range(steps)]
    assert shares[0] == 0
    assert shares[-1] == 1
    assert set(evaluated) == {1.0}
    assert [p for p in seen if p != 1.0] == [p for p in shares if p != 1.0]
    assert set(scheduler.warmed_up) == {"1.weight", "1.bias"}


def test_the_last_weights_can_be_left_instead_of_the_best(tmp_path):
    data = load(Digits(name="digits"), 0)
    ends = []

    class Watcher(Callback):
        def on_train_end(self, trainer, module):
            ends.append(module.model[1].weight.detach().clone())

    left = []
    for last in (True, False):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        settings = Optimization(epochs=6, learning_rate=0.3, schedule="constant")
        train(model, settings, StageContext(data, 0, tmp_path), callbacks=[Watcher()], last=last)
        left.append(model[1].weight.detach())
    assert torch.equal(left[0], ends[0])
    assert not torch.equal(left[1], ends[1])
