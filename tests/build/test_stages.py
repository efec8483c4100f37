"""Stages as steps of a build: what they are given, what they follow from, and repetitions."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hwflow import networks
from hwflow.build.materials.samples import dataset
from hwflow.build.plan import plan
from hwflow.build.request import Request, prepare
from hwflow.build.session import run_build
from hwflow.compress import STAGES, StageContext
from hwflow.compress.train import TrainStage
from hwflow.costs import Target, recipe_target
from hwflow.costs.hardware import UNHURRIED
from hwflow.errors import HwflowError, RequestError
from hwflow.recipe import Hardware, Mlp
from hwflow.recipe.loading import load_recipe
from hwflow.report import Report
from tests.support.hardware import PYNQ

RECIPE = """\
seed: 3
seeds: {seeds}
data: {{name: digits}}
network: {{name: mlp, widths: [8]}}
stages:
  - {{kind: train, epochs: 1, batch_size: 100}}
  - {{kind: distill, epochs: 1, batch_size: 100, distillation: {{teachers: [{teacher}]}}}}
"""


def build(folder: Path, seeds: int = 1, teacher: str = "{stage: train}") -> Request:
    file = folder / "net.yaml"
    file.write_text(RECIPE.format(seeds=seeds, teacher=teacher))
    return prepare(str(file), "pynq-z2", folder / "run")


def run(request: Request) -> tuple[dict[str, str], Report]:
    """What happened to each step behind the check, and the report."""
    happened: dict[str, str] = {}
    report = run_build(request, on_event=lambda e: happened.__setitem__(e.step, e.kind))
    assert happened.pop("check") in {"finished", "cached"}
    return happened, report


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


def test_repetitions_have_steps_and_folders_of_their_own(tmp_path):
    check, *steps = plan(build(tmp_path, seeds=3))
    assert check.name == "check"
    assert [(step.name, step.folder) for step in steps] == [
        ("01-train", "01-train"),
        ("02-distill", "02-distill"),
        ("seeds-2-01-train", "seeds/2/01-train"),
        ("seeds-2-02-distill", "seeds/2/02-distill"),
        ("seeds-3-01-train", "seeds/3/01-train"),
        ("seeds-3-02-distill", "seeds/3/02-distill"),
    ]
    assert steps[3].after == ("seeds-2-01-train",)


def test_seeds_give_mean_and_interval_and_resume_step_by_step(tmp_path):
    happened, report = run(build(tmp_path, seeds=2))
    assert set(happened.values()) == {"finished"}
    values = [
        [json.loads((tmp_path / "run" / place / stage / "metrics.json").read_text())]
        for stage in ("01-train", "02-distill")
        for place in (".", "seeds/2")
    ]
    accuracies = [found["test_accuracy"] for (found,) in values]
    assert [stage.seeds.values for stage in report.stages] == [accuracies[:2], accuracies[2:]]
    assert report.stages[1].teachers[0].teacher == "stage 01-train"

    happened, report = run(build(tmp_path, seeds=3))
    assert [name for name, kind in happened.items() if kind == "finished"] == [
        "seeds-3-01-train",
        "seeds-3-02-distill",
    ]
    assert [len(stage.seeds.values) for stage in report.stages] == [3, 3]

    (tmp_path / "run/seeds/2/02-distill/weights.safetensors").write_bytes(b"damaged")
    happened, _ = run(build(tmp_path, seeds=3))
    assert [name for name, kind in happened.items() if kind == "finished"] == ["seeds-2-02-distill"]

    happened, report = run(build(tmp_path))
    assert happened.pop("seeds-2-01-train") == "removed"
    assert report.stages[0].seeds is None
    assert not (tmp_path / "run/seeds/2/01-train").exists()


def test_a_repetition_is_another_training_of_another_network_on_the_same_splits(tmp_path):
    request = build(tmp_path, seeds=2)
    run(request)
    data, recipe = dataset(request), request.recipe
    network = networks.build(recipe.network, data.shape, data.classes, recipe.seed + 1)
    (tmp_path / "again").mkdir()
    context = StageContext(data, recipe.seed + 1, tmp_path / "again")
    wanted = STAGES["train"].run(network, recipe.stages[0], context).model.state_dict()
    found = weights(tmp_path / "run/seeds/2/01-train")
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())
    first = weights(tmp_path / "run/01-train")
    assert not torch.equal(first["1.weight"], found["1.weight"])


def test_a_stage_is_given_what_went_before_and_what_is_asked_for(tmp_path, monkeypatch):
    given = {}

    def spied_run(self, model, settings, context):
        if settings.kind == "distill":
            given[context.folder.parent.name] = context
            assert context.scratch.is_dir()
            earlier = context.earlier["01-train"]()
            assert earlier is not model
            assert not earlier.training
            assert torch.equal(earlier[1].weight, model[1].weight)
        return own_run(self, model, settings, context)

    own_run = TrainStage.run
    monkeypatch.setattr(TrainStage, "run", spied_run)
    run(build(tmp_path, seeds=2))
    assert set(given) == {"run", "2"}
    for context in given.values():
        assert set(context.earlier) == {"01-train"}
        assert context.base == tmp_path.resolve()
        assert context.target == Target()
    assert (given["run"].seed, given["2"].seed) == (3, 4)
    models = [given[place].earlier["01-train"]() for place in ("run", "2")]
    assert not torch.equal(models[0][1].weight, models[1][1].weight)


def test_the_target_is_the_recipes(tmp_path):
    recipe = load_recipe("digits-tfc-w2a2").recipe
    assert recipe_target(recipe, PYNQ) == Target(500, (2, 2))
    unhurried = recipe.model_copy(update={"hardware": Hardware()})
    assert recipe_target(unhurried, PYNQ).cycles == UNHURRIED
    ternary = recipe.stages[0].model_copy(update={"weight_bits": "ternary", "activation_bits": 3})
    changed = recipe.model_copy(update={"stages": (ternary,)})
    assert recipe_target(changed, PYNQ).bits == (2, 3)


def test_a_teachers_file_is_read_again_when_it_changes(tmp_path):
    teacher = "{network: {name: mlp, widths: [4]}, checkpoint: t.safetensors}"
    request = build(tmp_path, teacher=teacher)
    for seed in (1, 2):
        network = networks.build(Mlp(name="mlp", widths=(4,)), (1, 8, 8), 10, seed)
        save_file(network.state_dict(), tmp_path / "t.safetensors")
        happened, _ = run(request)
        assert happened["02-distill"] == "finished"
    assert happened["01-train"] == "cached"
    happened, _ = run(request)
    assert happened["02-distill"] == "cached"


def test_a_pretrained_network_is_read_again_when_a_file_of_it_changes(tmp_path):
    teacher = "{network: {transformers: bert, checkpoint: bert}, train: {epochs: 1}}"
    request = build(tmp_path, teacher=teacher)
    (tmp_path / "bert").mkdir()
    found = []
    for text in ("a", "b"):
        (tmp_path / "bert" / "model.safetensors").write_text(text)
        found.append([step.settings for step in plan(request)[1:]][:2])
    (first, taught), (first_again, taught_again) = found
    assert first == first_again
    assert taught != taught_again


@pytest.mark.parametrize(
    ("teacher", "says"),
    [
        ("{network: {name: mlp}, checkpoint: gone.pt}", "gone.pt: no such file"),
        ("{network: {name: mlp}, checkpoint: net.yaml}", "the checkpoint can't be read"),
    ],
)
def test_a_bad_teacher_is_refused_before_any_training(tmp_path, teacher, says):
    with pytest.raises(RequestError, match=says):
        run(build(tmp_path, teacher=teacher))
    assert not list((tmp_path / "run").rglob("*.safetensors"))


def test_a_stage_that_runs_out_of_memory_outside_of_training_says_so(tmp_path, monkeypatch):
    def costly(model, settings, context):
        return torch.empty(2**46)

    monkeypatch.setattr(TrainStage, "run", lambda self, *args: costly(*args))
    with pytest.raises(HwflowError, match="memory does not suffice for batches of 100"):
        run(build(tmp_path))


def test_more_seeds_change_nothing_of_the_first(tmp_path):

    _, first, *_ = plan(build(tmp_path))
    _, *repeated = plan(build(tmp_path, seeds=2))
    assert repeated[0].settings == first.settings
    assert repeated[2].settings != first.settings


USERS = """\
data: {name: digits}
network: {python: "nets/net.py:build"}
stages: [{kind: train, epochs: 1, batch_size: 100}]
"""
NET = """\
import json
from pathlib import Path

from torch import nn

from blocks.dense import block

def build(shape, classes):
    widths = json.loads(Path(__file__).with_name("widths.json").read_text())
    return nn.Sequential(nn.Flatten(), *block(64, widths[0]), nn.Linear(widths[0], classes))
"""
BLOCK = """\
from torch import nn

def block(inputs, outputs):
    return [nn.Linear(inputs, outputs), nn.ReLU()]
"""


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("nets/net.py", True),
        ("nets/blocks/dense.py", True),
        ("nets/blocks/__init__.py", True),
        ("nets/widths.json", True),
        ("nets/other.py", False),
        ("notes.txt", False),
    ],
)
def test_a_users_network_follows_from_every_file_that_is_loaded_to_build_it(tmp_path, file, counts):
    folder = tmp_path / "mine"
    (folder / "nets/blocks").mkdir(parents=True)
    for name, text in (
        ("net.yaml", USERS),
        ("nets/net.py", NET),
        ("nets/blocks/__init__.py", ""),
        ("nets/blocks/dense.py", BLOCK),
        ("nets/widths.json", "[8]\n"),
        ("nets/other.py", ""),
        ("notes.txt", ""),
    ):
        (folder / name).write_text(text)
    request = prepare(str(folder / "net.yaml"), "pynq-z2", folder / "run")
    assert set(run(request)[0].values()) == {"finished"}
    assert set(run(request)[0].values()) == {"cached"}
    (folder / file).write_text((folder / file).read_text() + "\n")
    assert set(run(request)[0].values()) == {"finished" if counts else "cached"}


def test_a_network_and_its_run_may_move_together(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "net.yaml").write_text(USERS.replace("nets/", ""))
    (folder / "net.py").write_text(NET.replace("blocks.dense", "block"))
    (folder / "block.py").write_text(BLOCK)
    (folder / "widths.json").write_text("[8]")
    run(prepare(str(folder / "net.yaml"), "pynq-z2", folder / "run"))
    moved = folder.rename(tmp_path / "moved")
    assert set(run(prepare(str(moved / "net.yaml"), "pynq-z2", moved / "run"))[0].values()) == {
        "cached"
    }
