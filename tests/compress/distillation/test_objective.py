"""The distilled loss: of the right samples, whatever their order, cached or not."""

import pytest
import torch
from torch.nn import functional

from hwflow.compress.augmentation import augmented
from hwflow.compress.distillation.cache import OutputCache
from hwflow.compress.training import Batch, cross_entropy
from tests.compress.distillation.networks import CLASSES, SHAPE, loss_of, net

COUNT, BATCH = 60, 20
HINTS = {
    "hints": [{"student": "conv2", "teacher": "conv2"}],
    "attention": [{"student": "conv1", "teacher": "conv1", "of": 1}],
}


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(COUNT, *SHAPE, generator=generator)
    labels = torch.randint(CLASSES, (COUNT,), generator=generator)
    return Batch(inputs, labels, torch.arange(COUNT), torch.zeros(COUNT, dtype=torch.int64))


def part(batch, index):
    return Batch(*(values[index] for values in batch))


def losses(objective, student, samples, order):
    """The loss of each sample, by its place in the data; and the mean loss of batches."""
    with torch.no_grad():
        single = {int(i): float(objective(student, part(samples, i[None]))) for i in order}
        batches = [float(objective(student, part(samples, i))) for i in order.split(BATCH)]
    return [single[i] for i in range(COUNT)], sum(batches) / len(batches)


@pytest.mark.parametrize("outputs", ["in_step", "cached"])
def test_a_permuted_loader_gives_the_identical_loss(samples, outputs):
    student, teachers = net(1, 4), [net(2), net(3)]
    objective = loss_of(student, teachers, outputs=outputs, **HINTS)
    in_order = losses(objective, student, samples, torch.arange(COUNT))
    for seed in range(3):
        order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(seed))
        permuted = losses(objective, student, samples, order)
        assert permuted[0] == pytest.approx(in_order[0], rel=1e-5)
        assert permuted[1] == pytest.approx(in_order[1], rel=1e-5)


def test_outputs_of_other_images_would_be_noticed(samples):
    student = net(1, 4)
    objective = loss_of(student, [net(2)], alpha=1.0)
    right = float(objective(student, samples))
    cached = loss_of(student, [net(2)], alpha=1.0, outputs="cached")
    cached(student, samples._replace(sample=samples.sample.flip(0)))
    assert float(cached(student, samples)) != pytest.approx(right, rel=1e-3)


def test_cached_and_in_step_agree_whatever_the_memory(samples):
    student, teachers = net(1, 4), [net(2), net(3)]
    in_step = loss_of(student, teachers, **HINTS)
    wanted = [float(in_step(student, part(samples, i))) for i in torch.arange(COUNT).split(BATCH)]
    for limit in (0, 20_000, 2**24):
        cached = loss_of(student, teachers, outputs="cached", **HINTS)
        cached.panel.cache = OutputCache(limit)
        for _ in range(3):
            found = [
                float(cached(student, part(samples, i))) for i in torch.arange(COUNT).split(BATCH)
            ]
            assert found == pytest.approx(wanted, rel=1e-6)
        assert len(cached.panel.cache) == min(COUNT, cached.panel.cache.capacity)
    assert cached.panel.cache.capacity > COUNT


def test_each_augmentation_is_cached_for_itself(samples):
    student, teacher = net(1, 4), net(2)
    in_step, cached = loss_of(student, [teacher]), loss_of(student, [teacher], outputs="cached")
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        inputs, variant = augmented(samples.inputs, "flip", generator)
        batch = samples._replace(inputs=inputs, variant=variant)
        wanted = float(in_step(student, batch))
        assert float(cached(student, batch)) == pytest.approx(wanted, rel=1e-6)
    assert COUNT < len(cached.panel.cache) <= 2 * COUNT


def test_a_cached_teacher_runs_once_for_each_sample(samples):
    student, teacher = net(1, 4), net(2)
    seen = []
    teacher.conv1.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    cached = loss_of(student, [teacher], outputs="cached")
    for start in (0, 10, 20, 0):
        cached(student, part(samples, torch.arange(start, start + 30)))
    assert seen == [30, 10, 10]


def test_memory_of_the_cache_is_bounded():
    cache = OutputCache(100_000)
    rows = torch.rand(500, 40)
    cache.rows(torch.arange(500), torch.zeros(500), lambda places: [rows[places]])
    assert len(cache) == cache.capacity < 100_000 // (4 * 40)
    found = cache.rows(torch.arange(500), torch.zeros(500), lambda places: [rows[places]])
    assert torch.equal(found[0], rows)


def test_alpha_weighs_teachers_against_labels(samples):
    student, teacher = net(1, 4), net(2)
    hard = float(cross_entropy(student, samples))
    soft = float(loss_of(student, [teacher], alpha=1.0)(student, samples))
    for alpha in (0.3, 0.9):
        mixed = float(loss_of(student, [teacher], alpha=alpha)(student, samples))
        assert mixed == pytest.approx(alpha * soft + (1 - alpha) * hard, rel=1e-6)


def test_with_alpha_one_labels_are_never_looked_at(samples):
    student = net(1, 4)
    objective = loss_of(student, [net(2), net(3)], alpha=1.0, **HINTS)
    wanted = objective(student, samples)
    nonsense = samples._replace(labels=torch.full((COUNT,), 10**6))
    assert torch.equal(objective(student, nonsense), wanted)


def test_hints_alone_need_no_soft_targets(samples):
    student, teacher = net(1), net(2)
    objective = loss_of(student, [teacher], alpha=0.0, hints=HINTS["hints"])
    hint = functional.mse_loss(*(features(m, samples.inputs) for m in (student, teacher)))
    wanted = float(cross_entropy(student, samples) + hint)
    assert float(objective(student, samples)) == pytest.approx(wanted, rel=1e-6)


def features(model, inputs):
    return model.conv2(model.pool(torch.relu(model.norm(model.conv1(inputs)))))


def test_teachers_stay_in_eval_mode_get_no_gradients_and_are_not_saved(samples):
    student, teacher = net(1, 4), net(2)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    objective = loss_of(student, [teacher, net(3)], **HINTS)
    objective.train()
    student.train()
    objective(student, samples).backward()
    assert not any(module.training for module in teacher.modules())
    assert all(value.grad is None for value in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert set(objective.state_dict()) == {f"terms.0.regressor.{n}" for n in ("weight", "bias")}
    assert student.conv1.weight.grad.abs().sum() > 0


def test_no_hook_is_left_on_any_network(samples):
    student, teacher = net(1, 4), net(2)
    loss_of(student, [teacher, net(3)], **HINTS)(student, samples)
    for model in (student, teacher):
        assert not any(module._forward_hooks for module in model.modules())
