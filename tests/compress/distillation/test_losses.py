"""The terms equal their formulas, and their gradients have the scale that was meant."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from hwflow.compress.distillation.losses import (
    attention_loss,
    attention_map,
    averaged_log_probabilities,
    soft_target_loss,
)

GENERATOR = np.random.default_rng(0)
STUDENT, TEACHER = GENERATOR.normal(0, 3, (2, 32, 10))


def softmax(logits, temperature):
    powers = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
    return powers / powers.sum(1, keepdims=True)


def soft_loss(student, teachers, temperature):
    targets = averaged_log_probabilities([torch.tensor(t) for t in teachers], temperature)
    return soft_target_loss(torch.as_tensor(student), targets, temperature)


@pytest.mark.parametrize("temperature", [0.5, 1, 4, 20])
def test_the_soft_loss_is_t_squared_kl_averaged_over_the_batch(temperature):
    p, q = softmax(TEACHER, temperature), softmax(STUDENT, temperature)
    wanted = temperature**2 * (p * np.log(p / q)).sum() / len(STUDENT)
    assert float(soft_loss(STUDENT, [TEACHER], temperature)) == pytest.approx(wanted, rel=1e-12)


def test_it_is_zero_for_the_teacher_itself_and_finite_for_extreme_logits():
    assert float(soft_loss(TEACHER, [TEACHER], 4)) == pytest.approx(0, abs=1e-12)
    far = torch.tensor([[1e4, -1e4, 0.0]])
    targets = averaged_log_probabilities([far, -far], 1.0)
    assert torch.isfinite(soft_target_loss(far, targets, 1.0))


def test_teachers_probabilities_are_averaged():
    p = (softmax(TEACHER, 4) + softmax(-2 * TEACHER, 4)) / 2
    averaged = averaged_log_probabilities([torch.tensor(TEACHER), torch.tensor(-2 * TEACHER)], 4)
    assert np.allclose(np.exp(averaged.numpy()), p, rtol=1e-12)


def gradient(temperature, logits, teachers):
    student = torch.tensor(logits, requires_grad=True)
    (found,) = torch.autograd.grad(soft_loss(student, teachers, temperature), student)
    return found


def test_averaged_teachers_teach_what_each_teaches_on_average():
    teachers = [TEACHER, TEACHER[::-1].copy(), -TEACHER]
    each = torch.stack([gradient(3.0, STUDENT, [teacher]) for teacher in teachers]).mean(0)
    assert torch.allclose(gradient(3.0, STUDENT, teachers), each, rtol=1e-10, atol=1e-14)


def test_the_gradients_scale_does_not_change_with_the_temperature():
    student, teacher = STUDENT / 6, TEACHER / 6
    norms = {t: float(gradient(t, student, [teacher]).norm()) for t in (2, 4, 8, 12, 20)}
    # For high temperatures it is (z_S - z_T) / classes, of zero mean (Hinton 2015, equation 4).
    difference = student - teacher
    limit = np.linalg.norm(difference - difference.mean(1, keepdims=True)) / 10 / len(student)
    assert norms == pytest.approx(dict.fromkeys(norms, limit), rel=0.1)
    assert norms[20] == pytest.approx(limit, rel=0.01)


def test_the_mean_is_over_the_batch_and_not_over_classes():
    """Divided by classes too, the term would be ten times too weak on ten classes."""
    mean = functional.kl_div(
        torch.log_softmax(torch.tensor(STUDENT), 1),
        torch.log_softmax(torch.tensor(TEACHER), 1),
        reduction="mean",
        log_target=True,
    )
    assert float(soft_loss(STUDENT, [TEACHER], 1)) == pytest.approx(10 * float(mean), rel=1e-12)


def test_attention_is_where_features_are_large_and_blind_to_scale_and_channels():
    features = torch.rand(4, 6, 5, 5, dtype=torch.float64)
    maps = attention_map(features)
    assert torch.allclose(maps, (features**2).mean(1))
    assert float(attention_loss(maps, maps)) == 0
    assert float(attention_loss(maps, 9 * maps)) == pytest.approx(0, abs=1e-15)
    shuffled = attention_map(features[:, torch.randperm(6)])
    assert float(attention_loss(maps, shuffled)) == pytest.approx(0, abs=1e-15)


def test_attention_loss_equals_its_formula():
    ours, theirs = np.abs(GENERATOR.normal(size=(2, 3, 4, 4)))
    q = [
        m.reshape(3, -1) / np.linalg.norm(m.reshape(3, -1), axis=1)[:, None] for m in (ours, theirs)
    ]
    wanted = ((q[0] - q[1]) ** 2).mean()
    found = attention_loss(torch.tensor(ours), torch.tensor(theirs))
    assert float(found) == pytest.approx(wanted, rel=1e-12)
