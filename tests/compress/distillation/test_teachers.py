"""Teachers: earlier stages, files and networks with training of their own; and what is wrong."""

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from hwflow import networks
from hwflow.compress import STAGES, StageContext, accuracy
from hwflow.compress.distillation import check_teachers, objective_for
from hwflow.compress.distillation.teachers import SEED_STRIDE, build_teacher, load_teachers
from hwflow.compress.training import cross_entropy, train
from hwflow.data import load
from hwflow.errors import HwflowError, RequestError
from hwflow.recipe import Digits, Distill, Distillation, Mlp, Optimization, Quantize, Teacher, Train

SMALL, LARGE = Mlp(name="mlp", widths=(6,)), Mlp(name="mlp", widths=(48, 48))
TRAINING = Optimization(epochs=8, batch_size=50, learning_rate=0.005)


@pytest.fixture(scope="module")
def data():
    return load(Digits(name="digits"), 0)


def network(data, spec=LARGE, seed=0):
    return networks.build(spec, data.shape, data.classes, seed)


def context(data, folder, **changes):
    return StageContext(data, 0, folder, base=folder, **changes)


def file_teacher(name):
    return Teacher(network=LARGE, checkpoint=name)


def refusal(data, folder, name):
    with pytest.raises(RequestError) as caught:
        build_teacher(file_teacher(name), "02-distill, teacher 0", data, 0, folder)
    assert caught.value.hint
    assert "02-distill, teacher 0: " in caught.value.message
    return str(caught.value)


def save_lightning(state, path):
    prefixed = {f"model.{name}": value for name, value in state.items()}
    torch.save({"epoch": 3, "state_dict": prefixed | {"objective.x": torch.ones(1)}}, path)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("t.safetensors", save_file),
        ("t.pt", torch.save),
        ("t.ckpt", save_lightning),
        ("t.bin", lambda s, path: torch.save({f"module.{k}": v for k, v in s.items()}, path)),
    ],
)
def test_weights_come_from_files_of_several_kinds(data, tmp_path, name, save):
    state = network(data, seed=7).state_dict()
    save(state, tmp_path / name)
    loaded = build_teacher(file_teacher(name), "teacher 0", data, 0, tmp_path).state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in loaded.items())


def test_a_missing_checkpoint_is_named(data, tmp_path):
    assert f"{tmp_path / 'gone.pt'}: no such file" in refusal(data, tmp_path, "gone.pt")


@pytest.mark.parametrize("name", ["t.safetensors", "t.pt"])
@pytest.mark.parametrize("cut", [0, 20, 3000])
def test_a_damaged_checkpoint_is_named(data, tmp_path, name, cut):
    save = save_file if name.endswith("safetensors") else torch.save
    save(network(data).state_dict(), tmp_path / name)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:cut])
    assert f"{path}: the checkpoint can't be read" in refusal(data, tmp_path, name)


def test_any_bytes_are_refused_in_a_sentence(data, tmp_path):
    generator = torch.Generator().manual_seed(0)
    torch.save(network(data).state_dict(), tmp_path / "whole.pt")
    head = (tmp_path / "whole.pt").read_bytes()[:200]
    for number in range(40):
        noise = bytes(torch.randint(256, (300,), generator=generator).tolist())
        start = (b"", b"\x80\x02", b"seed: 1\n", head)[number % 4]
        for name in ("noise.pt", "noise.safetensors"):
            (tmp_path / name).write_bytes(start + noise)
            assert "can't be read: " in refusal(data, tmp_path, name)


class Evil:
    def __reduce__(self):
        return print, ("this code must not run",)


@pytest.mark.parametrize("content", [Evil(), {"weights": Evil()}, [1, 2], {"epoch": 3}])
def test_no_code_of_a_checkpoint_runs(data, tmp_path, capsys, content):
    torch.save(content, tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(content))
    for name in ("evil.pt", "plain.pt"):
        assert "can't be read" in refusal(data, tmp_path, name)
    assert "must not run" not in capsys.readouterr().out


def test_a_teacher_of_other_classes_is_refused(data, tmp_path):
    other = networks.build(LARGE, data.shape, 100, 0)
    save_file(other.state_dict(), tmp_path / "t.safetensors")
    message = refusal(data, tmp_path, "t.safetensors")
    assert "is of a teacher of 100 classes; the data have 10" in message


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (Mlp(name="mlp", widths=(48,)), "it has no '5.weight'"),
        (Mlp(name="mlp", widths=(48, 48, 48)), "it has no '7.bias'"),
        (Mlp(name="mlp", widths=(40, 48)), r"1.weight is (40, 64) there, and (48, 64) in"),
    ],
)
def test_weights_of_another_network_are_refused(data, tmp_path, spec, says):
    save_file(network(data, spec).state_dict(), tmp_path / "t.safetensors")
    message = refusal(data, tmp_path, "t.safetensors")
    assert "is of another network" in message
    assert says in message


def test_weights_that_the_network_does_not_have_are_refused(data, tmp_path):
    state = network(data).state_dict() | {"9.weight": torch.ones(1)}
    save_file(state, tmp_path / "t.safetensors")
    assert "it has '9.weight', the network has not" in refusal(data, tmp_path, "t.safetensors")


def distillation(*teachers, **changes):
    return Distillation(teachers=teachers, **changes)


def trained(**changes):
    return Teacher(network=LARGE, train=TRAINING.model_copy(update=changes))


def test_a_teacher_is_trained_once_and_found_again_after_a_kill(data, tmp_path, monkeypatch):
    stage, scratch = tmp_path / "stage", tmp_path / "scratch"
    stage.mkdir()
    notes = []
    settings = distillation(trained(epochs=2), trained(epochs=2))

    def killed(model, options, own, **rest):
        if own.seed == SEED_STRIDE:
            raise KeyboardInterrupt
        train(model, options, own, **rest)

    here = context(data, stage, scratch=scratch, note=lambda text, fraction: notes.append(text))
    monkeypatch.setattr("hwflow.compress.distillation.teachers.train", killed)
    with pytest.raises(KeyboardInterrupt):
        load_teachers(settings, here)
    assert all(note.startswith("teacher 0: epoch") for note in notes)
    first = (scratch / "teacher-0" / "weights.safetensors").read_bytes()
    notes.clear()
    monkeypatch.setattr("hwflow.compress.distillation.teachers.train", train)
    teachers = load_teachers(settings, here)
    assert notes
    assert all(note.startswith("teacher 1: epoch") for note in notes)
    assert (stage / "teacher-0.safetensors").read_bytes() == first
    assert (stage / "teacher-1.safetensors").read_bytes() != first
    for teacher in teachers:
        assert teacher.metrics["test_accuracy"] == accuracy(teacher.network, data, data.test)


def test_what_taught_is_recorded(data, tmp_path):
    save_file(network(data).state_dict(), tmp_path / "t.safetensors")
    earlier = {"01-train": lambda: network(data, SMALL)}
    settings = distillation(Teacher(stage="train"), file_teacher("t.safetensors"))
    teachers = load_teachers(settings, context(data, tmp_path, earlier=earlier))
    told = json.loads((tmp_path / "teachers.json").read_text())
    assert [entry["teacher"] for entry in told] == ["stage 01-train", "mlp from t.safetensors"]
    assert told[1]["test_accuracy"] == teachers[1].metrics["test_accuracy"]
    assert not any(value.requires_grad for t in teachers for value in t.network.parameters())


def test_without_teachers_it_is_cross_entropy(data, tmp_path):
    assert objective_for(None, network(data), context(data, tmp_path)) is cross_entropy


# ------------------------------------------------------------------------------ before training

STAGES_BEFORE = ("01-train", Train(kind="train"))


def checked(data, base, settings, *before):
    stages = [STAGES_BEFORE, *before, ("02-distill", settings)]
    check_teachers(stages, network(data, SMALL), data, base)


def distill(*teachers, **changes):
    return Distill(kind="distill", distillation=distillation(*teachers, **changes))


def hint(student, teacher, **changes):
    return {"hints": ({"student": student, "teacher": teacher, **changes},)}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (distill(Teacher(stage="trian")), "02-distill, teacher 0: there is no earlier stage"),
        (distill(Teacher(stage="02-distill")), "there is no earlier stage '02-distill'"),
        (distill(file_teacher("gone.pt")), "02-distill, teacher 0: "),
        (distill(trained(), **hint("3x", "1")), "the network has no layer '3x'"),
        (distill(trained(), **hint("1", "seven")), "teacher 0 has no layer 'seven'"),
        (
            distill(trained(), Teacher(stage="train"), **hint("1", "7", of=1)),
            "teacher 1 has no layer '7'",
        ),
        (
            distill(trained(), attention=({"student": "1", "teacher": "1"},)),
            "no positions to attend to",
        ),
    ],
)
def test_what_is_wrong_with_teachers_is_found_before_training(data, tmp_path, settings, says):
    with pytest.raises(RequestError) as caught:
        checked(data, tmp_path, settings)
    assert says in caught.value.message
    assert caught.value.hint


def test_layers_of_a_network_that_a_stage_will_change_are_left_for_then(data, tmp_path):
    quantize = ("02-quantize", Quantize(kind="quantize"))
    checked(data, tmp_path, distill(Teacher(stage="train"), **hint("3_q", "1")), quantize)
    checked(data, tmp_path, distill(Teacher(stage="quantize"), **hint("1", "3_q")), quantize)
    with pytest.raises(RequestError, match="teacher 0 has no layer 'x'"):
        checked(data, tmp_path, distill(Teacher(stage="train"), **hint("3_q", "x")), quantize)


def test_a_user_network_of_other_classes_is_refused(data, tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def build(shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes + 1))\n"
    )
    teacher = Teacher.model_validate(
        {"network": {"python": "net.py:build"}, "train": {"epochs": 1}}
    )
    with pytest.raises(RequestError, match=r"makes \(2, 11\) of two samples, not \(2, 10\)"):
        checked(data, tmp_path, distill(teacher))


# ------------------------------------------------------------------------------------ learning


def test_a_small_student_learns_from_a_teacher_without_a_single_label(data, tmp_path):
    settings = Distill(
        kind="distill",
        epochs=15,
        batch_size=50,
        learning_rate=0.01,
        distillation=distillation(
            trained(epochs=10), alpha=1.0, outputs="cached", **hint("2", "2", weight=0.1)
        ),
    )
    student = network(data, Mlp(name="mlp", widths=(12,)))
    assert accuracy(student, data, data.test) < 0.3
    outcome = STAGES["distill"].run(student, settings, context(data, tmp_path))
    told = json.loads((tmp_path / "teachers.json").read_text())
    assert told[0]["test_accuracy"] > 0.95
    assert outcome.metrics["test_accuracy"] > 0.9
    wanted = load_teachers_agreement(data, tmp_path, outcome.model)
    assert wanted > 0.9


def load_teachers_agreement(data, folder, student):
    """Share of test samples on which a student says what its teacher says."""
    teacher = build_teacher(file_teacher("teacher-0.safetensors"), "", data, 0, folder).eval()
    inputs = torch.from_numpy(data.floats(data.test))
    with torch.no_grad():
        return float((student(inputs).argmax(1) == teacher(inputs).argmax(1)).float().mean())


@pytest.mark.parametrize("kind", ["train", "distill", "quantize"])
@pytest.mark.parametrize("outputs", ["in_step", "cached"])
def test_every_stage_learns_from_teachers_and_repeats_itself(data, tmp_path, kind, outputs):
    kinds = {"train": Train, "distill": Distill, "quantize": Quantize}
    found = distillation(Teacher(stage="01-train"), outputs=outputs, **hint("1", "4"))
    settings = kinds[kind](kind=kind, epochs=2, batch_size=100, distillation=found)
    states = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        here = context(data, folder, earlier={"01-train": lambda: network(data, seed=3)})
        outcome = STAGES[kind].run(network(data, SMALL).eval(), settings, here)
        states.append(outcome.model.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    best = torch.load(tmp_path / "0/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    before = objective_for(
        found,
        network(data, SMALL),
        context(data, tmp_path, earlier={"01-train": lambda: network(data, seed=3)}),
    )
    regressor = "terms.0.regressor.weight"
    assert not torch.equal(best[f"objective.{regressor}"], before.state_dict()[regressor])


def test_a_diverged_teacher_is_said(data, tmp_path):
    teacher = trained(optimizer="sgd", learning_rate=1e30)
    with pytest.raises(HwflowError, match="teacher 0: training diverged"):
        load_teachers(distillation(teacher), context(data, tmp_path))
