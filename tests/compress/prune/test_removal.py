"""Networks without some units against the same networks with these units zeroed."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from hwflow.compress import StageOutcome, load_checkpoint, save_checkpoint
from hwflow.compress.prune import PruneStage
from hwflow.compress.prune.attention import HeadAttention
from hwflow.compress.prune.coupling import Group, find_coupling, find_groups
from hwflow.compress.prune.exactness import exact_groups, zero_units
from hwflow.compress.prune.removal import multiple, rebuild, remove
from hwflow.errors import HwflowError, RequestError
from hwflow.recipe import Prune
from tests.compress.prune.networks import (
    IMAGE,
    NETWORKS,
    TOKENS,
    Rotating,
    Tokens,
    plain,
    residual,
)

GRANULARITIES = ("channel", "neuron", "head")
Shape = tuple[int, ...]


def trained(name: str, seed: int) -> tuple[nn.Module, Shape]:
    """A network whose norms have statistics and parameters as after training."""
    make, shape = NETWORKS[name]
    torch.manual_seed(seed)
    return randomised(make()), shape


def randomised(model: nn.Module) -> nn.Module:
    norms = nn.BatchNorm1d, nn.BatchNorm2d
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, norms):
                module.running_mean.normal_(0, 0.3)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            if isinstance(module, norms) and module.affine:
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
    return model.eval()


def sample(model: nn.Module, shape: Shape, count: int = 8) -> torch.Tensor:
    if getattr(model, "input_dtype", None) is not None:
        return torch.randint(0, 20, (count, *shape))
    return torch.randn(count, *shape)


def random_keep(groups: list[Group], seed: int) -> dict[str, list[int]]:
    choice = random.Random(seed)
    return {
        group.name: choice.sample(range(group.size), choice.randint(1, group.size - 1))
        for group in groups
    }


def masked(model: nn.Module, groups: list[Group], keep: dict[str, list[int]]) -> nn.Module:
    model = copy.deepcopy(model)
    for group in groups:
        stay = keep.get(group.name, range(group.size))
        zero_units(model, group, [unit for unit in range(group.size) if unit not in stay])
    return model


def groups_of(model: nn.Module, shape: Shape) -> list[Group]:
    return [group for kind in GRANULARITIES for group in find_groups(model, shape, kind, 1)]


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NETWORKS)
def test_the_compact_network_equals_the_masked_one(name: str, seed: int) -> None:
    model, shape = trained(name, seed)
    groups = groups_of(model, shape)
    keep = random_keep(groups, seed)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    compact, structure = remove(model, shape, keep, groups)
    inputs = sample(model, shape)
    with torch.no_grad():
        expected, found = masked(model, groups, keep)(inputs), compact(inputs)
        dense = model(inputs)
    assert (found - expected).abs().max() <= 1e-5
    assert (dense - expected).abs().max() > 1e-3  # the units did matter
    assert parameters(compact) < parameters(model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())

    again = rebuild(model, json.loads(json.dumps(structure))).eval()
    assert [(k, v.shape) for k, v in again.state_dict().items()] == [
        (k, v.shape) for k, v in compact.state_dict().items()
    ]
    again.load_state_dict(compact.state_dict())
    with torch.no_grad():
        assert torch.equal(again(inputs), found)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_left_can_be_pruned_and_trained_again(name: str) -> None:
    model, shape = trained(name, 0)
    for seed in (1, 2):
        groups = [g for g in groups_of(model, shape) if g.size > 1]
        keep = {g.name: list(range(0, g.size, 2)) for g in groups}
        compact, _ = remove(model, shape, keep, groups)
        inputs = sample(model, shape)
        with torch.no_grad():
            difference = compact(inputs) - masked(model, groups, keep)(inputs)
        assert difference.abs().max() <= 1e-5, f"removal {seed}"
        model = compact
    model.train()(inputs).sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(g.isfinite().all()) for g in gradients)


EXPECTED = {
    "mlp": {"1": 24, "4": 16, "7": 20},
    "plain": {"0": 16, "4": 24, "8": 16},
    "residual": {"0": 16, "3.conv1": 16, "4.conv1": 24, "4.conv2": 24, "5.conv1": 24},
    "dense": {"0.conv": 8, "1.conv": 8, "2.conv": 8, "5": 16},
    "crossed": {"both": 8, "right": 16, "last": 8},
    "separable": {"0": 16, "6": 24, "10": 8},
    "series": {"0": 16, "4": 16, "7": 24},
    "attending": {
        "encoder.linear1": 40,
        "attention": 6,
        "encoder.self_attn": 3,
        "crossing": 4,
    },
    "gated": {"free": 16},
    "rotating": {
        **{f"llama.model.layers.{i}.mlp.gate_proj": 48 for i in range(2)},
        **{f"llama.model.layers.{i}.self_attn.q_proj": 4 for i in range(2)},
    },
    "tokens": {
        "bert.bert.pooler.dense": 32,
        **{f"bert.bert.encoder.layer.{i}.intermediate.dense": 48 for i in range(2)},
        **{f"bert.bert.encoder.layer.{i}.attention.self.query": 4 for i in range(2)},
    },
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_unit_that_can_go_is_found_and_no_input_or_class(name: str) -> None:
    model, shape = trained(name, 0)
    groups = groups_of(model, shape)
    assert {group.name: group.size for group in groups} == EXPECTED[name]
    everything = {group.name: [0] for group in groups}
    compact, _ = remove(model, shape, everything, groups)
    with torch.no_grad():
        assert compact(sample(model, shape)).shape == (8, 5)


def test_branches_that_are_added_share_a_group() -> None:
    model, shape = trained("residual", 0)
    group = next(g for g in find_groups(model, shape, "channel", 8) if g.name == "4.conv2")
    assert {(m.layer, m.parameter, m.dim) for m in group.members} == {
        *((layer, "weight", 0) for layer in ("4.conv2", "4.shortcut.0", "5.conv2")),
        *((n, p, 0) for n in ("4.bn2", "4.shortcut.1", "5.bn2") for p in ("weight", "bias")),
        *((layer, "weight", 1) for layer in ("5.conv1", "8")),
    }


def test_concatenated_channels_are_found_behind_those_before_them() -> None:
    model, shape = trained("dense", 0)
    group = next(g for g in find_groups(model, shape, "channel", 4) if g.name == "1.conv")
    read = {m.layer: m.index for m in group.members if m.dim == 1}
    assert read == {layer: tuple((11 + i,) for i in range(8)) for layer in ("2.conv", "5")}


def test_attributes_of_layers_say_what_is_left() -> None:
    model, shape = trained("separable", 0)
    groups = groups_of(model, shape)
    compact, _ = remove(model, shape, {"0": [1, 3, 4], "6": [0, 5], "10": [7]}, groups)
    layers = {
        name: (layer.in_channels, layer.out_channels, layer.groups)
        for name, layer in compact.named_modules()
        if isinstance(layer, nn.Conv2d)
    }
    assert layers == {
        "0": (3, 3, 1),
        "3": (3, 3, 3),
        "6": (3, 2, 1),
        "8": (2, 4, 2),
        "10": (4, 4, 1),
        "12": (4, 8, 1),
    }
    norms = [m.num_features for m in compact.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms == [3, 3]
    assert compact.get_submodule("16").in_features == 8


def test_bert_knows_how_many_heads_it_has() -> None:
    model, shape = trained("tokens", 0)
    groups = groups_of(model, shape)
    name = "bert.bert.encoder.layer.1.attention.self"
    compact, _ = remove(model, shape, {f"{name}.query": [0, 2, 3]}, groups)
    attention = compact.get_submodule(name)
    assert (attention.num_attention_heads, attention.all_head_size) == (3, 24)
    assert attention.value.out_features == 24  # type: ignore[union-attr]
    other = compact.get_submodule("bert.bert.encoder.layer.0.attention.self")
    assert (other.num_attention_heads, other.all_head_size) == (4, 32)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("average", [True, False])
def test_attention_with_all_its_heads_is_torchs(batch_first: bool, average: bool) -> None:
    torch.manual_seed(0)
    reference = nn.MultiheadAttention(24, 4, batch_first=batch_first)
    own = HeadAttention(reference, 4)
    own.load_state_dict(reference.state_dict())
    query, key = (torch.randn(3, n, 24) for n in (5, 7))
    given = (
        (query, key, key) if batch_first else tuple(x.transpose(0, 1) for x in (query, key, key))
    )
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[1, 4:] = True
    for mask in (torch.rand(5, 7) < 0.2, torch.randn(12, 5, 7)):
        options = {
            "key_padding_mask": padding if mask.dtype == torch.bool else padding.float() * -1e9,
            "attn_mask": mask,
            "average_attn_weights": average,
        }
        for expected, found in zip(
            reference(*given, **options), own(*given, **options), strict=True
        ):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_heads_go_from_a_torch_encoder_in_the_fast_path_too() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(24, 4, 32, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Flatten(), nn.Linear(120, 5)).eval()
    groups = groups_of(model, (5, 24))
    assert len(groups) == 4
    keep = random_keep(groups, 0)
    compact, _ = remove(model, (5, 24), keep, groups)
    inputs = torch.randn(4, 5, 24)
    with torch.no_grad():
        expected = masked(model, groups, keep)(inputs)
        assert (compact(inputs) - expected).abs().max() <= 1e-5


def test_multiples() -> None:
    assert [multiple(64, kept, 8) for kept in (0, 1, 8, 9, 63, 64)] == [8, 8, 8, 16, 64, 64]
    assert multiple(60, 57, 8) == 60  # no multiple of 8 holds 57 and fits
    assert multiple(60, 50, 8) == 56
    assert multiple(6, 1, 8) == 6
    for size in range(1, 40):
        for kept in range(1, size + 1):
            found = multiple(size, kept, 4)
            better = [n for n in range(kept, size + 1) if n % 4 == 0]
            assert found == (better[0] if better else size)


def test_units_that_are_several_channels_wide_make_multiples_sooner() -> None:
    model, shape = trained("tokens", 0)
    heads = find_groups(model, shape, "head", 16)[0]
    assert (heads.width, heads.step(16), heads.step(8), heads.step(4)) == (8, 2, 1, 1)
    separable, image = trained("separable", 0)
    whole = next(g for g in find_groups(separable, image, "channel", 8) if g.name == "10")
    assert (whole.width, whole.step(8)) == (4, 2)
    kept = multiple(whole.size, 3, whole.step(8))
    compact, _ = remove(separable, image, {"10": list(range(kept))}, [whole])
    assert [compact.get_submodule(name).out_channels for name in ("10", "12")] == [16, 32]


def test_widths_that_can_not_shrink_to_multiples_are_no_groups() -> None:
    model, shape = trained("plain", 0)
    assert [g.name for g in find_groups(model, shape, "channel", 16)] == ["4"]
    with pytest.raises(RequestError, match=r"unit of 24 leaves nothing to take out.*4, is 24 wide"):
        find_groups(model, shape, "channel", 24)


class Odd(nn.Module):
    """What can't be pruned: the input is added, channels are normed together, or their number is
    written into the code."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = nn.Conv2d(3, 3, 3, padding=1)
        self.normed = nn.Conv2d(3, 16, 1)
        self.norm = nn.GroupNorm(4, 16)
        self.shuffled = nn.Conv2d(16, 16, 1)
        self.scaled = nn.Conv2d(16, 16, 1)
        self.scale = nn.Parameter(torch.randn(16, 1, 1))
        self.free = nn.Conv2d(16, 16, 1)
        self.idle = nn.Conv2d(16, 16, 1)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm(self.normed(x + self.skipped(x))))
        y = self.shuffled(y).reshape(-1, 2, 8, *x.shape[2:]).transpose(1, 2).flatten(1, 2)
        y = self.free(torch.relu(self.scaled(y) * self.scale))
        return self.head(torch.relu(y).mean((2, 3)))


def test_what_can_not_be_pruned_is_left_alone_with_a_reason() -> None:
    torch.manual_seed(0)
    found = find_coupling(Odd(), IMAGE, "channel")
    assert [group.name for group in found.groups] == ["free"]
    reasons = {
        "skipped": "network's input",
        "normed": r"norm \(GroupNorm\) norms over channels",
        "shuffled": "a trial showed",
        "scaled": "a parameter that belongs to no layer",
        "idle": "does not run",
        "head": "network's output",
    }
    assert found.alone.keys() == reasons.keys()
    for name, reason in reasons.items():
        with pytest.raises(AssertionError, match=reason):
            raise AssertionError(found.alone[name])


@pytest.mark.parametrize("units", [[], [16], [-1, 0]])
def test_units_that_there_are_not(units: list[int]) -> None:
    model, shape = trained("plain", 0)
    groups = find_groups(model, shape, "channel", 8)
    with pytest.raises(RequestError, match="group 0: of its 16 channels"):
        remove(model, shape, {"0": units}, groups)


def test_a_group_that_there_is_not() -> None:
    model, shape = trained("residual", 0)
    groups = find_groups(model, shape, "channel", 8)
    with pytest.raises(RequestError, match=r"no group '3.conv2'") as error:
        remove(model, shape, {"3.conv2": [0]}, groups)
    assert "3.conv1" in str(error.value.hint)


def test_removal_takes_nothing_from_the_random_numbers() -> None:
    model, shape = trained("attending", 0)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    groups = groups_of(model, shape)
    remove(model, shape, {group.name: [0] for group in groups}, groups)
    assert torch.equal(torch.rand(3), expected)


def test_torchvisions_resnet18() -> None:
    from torchvision import models

    torch.manual_seed(0)
    model = randomised(models.resnet18(weights=None, num_classes=10))
    shape = (3, 64, 64)
    groups = find_groups(model, shape, "channel", 8)
    # The streams of four stages, and the inner channels of eight blocks.
    assert len(groups) == 12
    keep = {
        name: units[: multiple(64, len(units), 8)]
        for name, units in ((g.name, list(range(1, g.size, 3))) for g in groups)
    }
    compact, _ = remove(model, shape, keep, groups)
    inputs = torch.randn(2, *shape)
    with torch.no_grad():
        expected = masked(model, groups, keep)(inputs)
        assert (compact(inputs) - expected).abs().max() <= 1e-5
    assert parameters(compact) < parameters(model) / 4


def test_units_that_a_gate_of_all_channels_sees_stay() -> None:
    model, shape = trained("gated", 0)
    found = find_coupling(model, shape, "channel")
    assert [group.name for group in found.groups] == ["free"]
    assert "a trial showed" in found.alone["gated"]


def test_ways_that_never_end_leave_a_layer_alone() -> None:
    torch.manual_seed(0)
    # Heads of queries share keys, so that nothing is known of them but what can be followed.
    found = find_coupling(Rotating(key_heads=2).eval(), TOKENS, "neuron")
    assert [group.size for group in found.groups] == [48, 48]
    assert "the way never ends" in found.alone["llama.model.layers.0.self_attn.k_proj"]


def test_layers_that_ask_for_the_version_of_their_values_are_copied_and_reloaded(
    tmp_path: Path,
) -> None:
    from torchvision import models

    torch.manual_seed(0)
    model = models.get_model("mnasnet0_5", weights=None, num_classes=5).eval()
    shape = (3, 32, 32)
    group = find_groups(model, shape, "channel", 8)[0]
    compact, structure = remove(model, shape, {group.name: list(range(8))}, [group])
    save_checkpoint(tmp_path, StageOutcome(compact, {}, structure))
    again = load_checkpoint(tmp_path, PruneStage(), model, Prune(kind="prune")).model
    inputs = torch.randn(2, *shape)
    with torch.no_grad():
        assert torch.equal(again(inputs), compact(inputs))


def test_trained_modes_are_kept() -> None:
    model = residual().train()
    groups = find_groups(model, IMAGE, "channel", 8)
    assert all(module.training for module in model.modules())
    compact, _ = remove(model, IMAGE, {"0": [0]}, groups)
    assert all(module.training for module in compact.modules())
    assert not remove(plain().eval(), IMAGE, {}, [])[0].training


def test_frozen_layers_stay_frozen() -> None:
    model = Tokens().eval()
    model.get_submodule("bert.bert.embeddings").requires_grad_(False)
    attention = model.get_submodule("bert.bert.encoder.layer.0.attention").requires_grad_(False)
    groups = find_groups(model, TOKENS, "head", 8)
    assert not next(attention.parameters()).requires_grad
    compact, _ = remove(model, TOKENS, {groups[0].name: [0]}, groups)
    shrunk = compact.get_submodule(groups[0].name)
    assert isinstance(shrunk, nn.Linear)
    assert shrunk.out_features == 8
    assert not shrunk.weight.requires_grad


def test_networks_that_can_not_be_followed_are_an_error_of_the_recipe() -> None:
    from torchvision import models

    shuffling = models.get_model("shufflenet_v2_x0_5", weights=None)
    with pytest.raises(RequestError, match="channels can't be followed"):
        find_groups(shuffling, (3, 64, 64), "channel", 8)


def test_masks_must_be_resolved_first() -> None:
    model, shape = trained("plain", 0)
    groups = find_groups(model, shape, "channel", 8)
    nn.utils.parametrizations.weight_norm(model.get_submodule("4"))
    with pytest.raises(HwflowError, match="layer 4 has parametrizations"):
        remove(model, shape, {"0": [0]}, groups)


def test_a_group_with_another_channels_slices_is_not_believed() -> None:
    model, shape = trained("plain", 0)
    groups = find_groups(model, shape, "channel", 8)
    right = groups[1]
    read = right.members[-1]
    assert (read.layer, read.dim) == ("8", 1)
    shifted = replace(read, index=(*read.index[1:], read.index[0]))
    wrong = replace(right, members=(*right.members[:-1], shifted))
    assert exact_groups(model, shape, groups) == (groups, [])
    assert exact_groups(model, shape, [groups[0], wrong]) == ([groups[0]], [wrong])
