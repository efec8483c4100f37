"""Recipes: what is wrong with one is said with file, line, key and the nearest valid name."""

import json
from pathlib import Path

import pytest
import yaml

from hwflow.config import shipped
from hwflow.errors import RequestError
from hwflow.recipe import Recipe
from hwflow.recipe.loading import load_recipe, resolved_yaml

GOOD = """\
seed: 1
data:
  name: digits
network:
  name: mlp
  widths: [8]
stages:
  - kind: train
    epochs: 2
  - kind: quantize
    weight_bits: 4
hardware:
  target_fps: 1000
"""


def write(folder: Path, text: str) -> str:
    path = folder / "net.yaml"
    path.write_text(text)
    return str(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(RequestError) as caught:
        load_recipe(write(folder, text))
    return str(caught.value)


@pytest.mark.parametrize("name", shipped.names("recipes"))
def test_every_shipped_recipe_is_valid_and_survives_a_round_trip(name):
    recipe = load_recipe(name).recipe
    assert recipe.name == name
    assert Recipe.model_validate(yaml.safe_load(resolved_yaml(recipe))) == recipe


def test_the_name_is_the_files_and_paths_start_from_its_folder(tmp_path):
    loaded = load_recipe(write(tmp_path, GOOD))
    assert loaded.recipe.name == "net"
    assert loaded.base == tmp_path


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("  target_fps", "  target_fsp", 13, ["hardware.target_fsp", "did you mean 'target_fps'"]),
        ("    weight_bits: 4", "    weight_bits: -4", 11, ["weight_bits", "-4", "help: Bits of"]),
        ("    weight_bits: 4", "    weight_bits: 9", 11, ["weight_bits", "9"]),
        ("    epochs: 2", "    epochs: many", 9, ["epochs", "integer", "many"]),
        ("name: digits", "name: digit", 3, ["data.name", "'digit'", "did you mean 'digits'"]),
        ("name: mlp", "name: tcf", 5, ["network.name", "'tcf'", "did you mean 'tfc'"]),
        ("kind: quantize", "kind: quantise", 10, ["'quantise'", "did you mean 'quantize'"]),
        ("widths: [8]", "widths: [8, 0]", 6, ["widths", "greater than or equal to 1"]),
        ("seed: 1", "seed: -1", 1, ["seed", "-1"]),
        ("target_fps: 1000", "target_fps: 0", 13, ["target_fps", "greater than 0"]),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, old, new, line, says):
    assert old in GOOD
    message = refusal(tmp_path, GOOD.replace(old, new))
    assert f"net.yaml:{line}:" in message
    for words in says:
        assert words in message


def test_all_mistakes_are_named_at_once(tmp_path):
    message = refusal(tmp_path, GOOD.replace("epochs: 2", "epochs: x").replace("seed", "sed"))
    assert "net.yaml:1: sed" in message
    assert "net.yaml:9: stages.0.epochs" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("data: [1, 2\nnetwork: x", "this is not YAML"),
        ("", "the file is empty"),
        ("- a\n- b\n", "not a mapping"),
        ("data: {name: digits}\ndata: {name: mnist}\n", "this key is already on line 1"),
        ("\x00\x01", "not YAML"),
    ],
)
def test_what_is_no_recipe_at_all_is_refused(tmp_path, text, says):
    assert says in refusal(tmp_path, text)


def test_missing_keys_are_named(tmp_path):
    message = refusal(tmp_path, "data:\n  name: digits\n")
    assert "`network` is missing" in message
    assert "`stages` is missing" in message


def test_two_ways_to_fold_are_refused(tmp_path):
    message = refusal(tmp_path, GOOD + "  folding: fold.yaml\n")
    assert "a folding file leaves nothing to target_fps" in message


def test_an_unknown_recipe_offers_the_nearest():
    with pytest.raises(RequestError, match="did you mean 'digits-mlp'"):
        load_recipe("digit-mlp")


def test_a_shipped_recipe_is_found_by_its_path_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_recipe("recipes/digits-mlp.yaml").recipe.name == "digits-mlp"


def test_settings_are_overridden_by_stage_kind_or_place():
    recipe = load_recipe(
        "digits-mlp",
        ["stages.train.epochs=3", "stages.1.weight_bits=ternary", "network.widths=[5]", "seed=9"],
    ).recipe
    assert recipe.stages[0].epochs == 3
    assert recipe.stages[1].weight_bits == "ternary"
    assert recipe.network.widths == (5,)
    assert recipe.seed == 9


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("stages.quantize.weight_bits=0", "--set stages.quantize.weight_bits=0"),
        ("stages.prune.epochs=1", "there is no 'prune'"),
        ("seed", "not KEY=VALUE"),
        ("hardware.targetfps=1", "did you mean 'target_fps'"),
        ("seed=[", "not YAML"),
        ("seed.x=1", "holds no keys"),
    ],
)
def test_a_wrong_override_is_named(override, says):
    with pytest.raises(RequestError) as caught:
        load_recipe("digits-mlp", [override])
    assert says in str(caught.value)


def test_the_schema_names_every_section_and_bound():
    text = json.dumps(Recipe.model_json_schema())
    for name in ("weight_bits", "target_fps", "rtl_frames", "digits", "maximum"):
        assert f'"{name}"' in text


TEACHER = "distillation: {teachers: [{stage: train}]}"


@pytest.mark.parametrize(
    ("stages", "line", "says"),
    [
        (["quantize", "prune"], 2, ["prune after quantize loses", "put prune before quantize"]),
        (["quantize", "distill, " + TEACHER], 2, ["distill after quantize", "own epochs and dist"]),
        (["train", "quantize", "quantize"], 3, ["a network is quantized once", "keep one"]),
        (["train", "decompose", "decompose"], 3, ["factors of factors", "keep one"]),
        (
            ["prune, granularity: element", "quantize, epochs: 5"],
            2,
            ["quantize after pruning of scattered weights", "quantize with epochs: 0"],
        ),
        (["train", "train"], 2, ["does the same again", "raise the epochs"]),
    ],
)
def test_orders_that_lose_work_are_refused_with_the_reason(tmp_path, stages, line, says):
    text = "data: {name: digits}\nnetwork: {name: mlp}\nstages:\n"
    text += "".join(f"  - {{kind: {stage}}}\n" for stage in stages)
    message = refusal(tmp_path, text)
    assert f"net.yaml:{3 + line}: " in message
    for words in says:
        assert words in message


def test_stages_in_the_usual_order_are_taken(tmp_path):
    kinds = ["train", "prune", "distill, " + TEACHER, "decompose", "train", "quantize"]
    text = "data: {name: digits}\nnetwork: {name: mlp}\nstages:\n"
    text += "".join(f"  - {{kind: {kind}}}\n" for kind in kinds)
    assert len(load_recipe(write(tmp_path, text)).recipe.stages) == len(kinds)


def test_a_teacher_must_be_an_earlier_stage(tmp_path):
    teacher = "    distillation:\n      teachers:\n        - stage: {}\n"
    text = GOOD.replace("    weight_bits: 4\n", "    weight_bits: 4\n" + teacher)
    assert load_recipe(write(tmp_path, text.format("train")))
    assert load_recipe(write(tmp_path, text.format("01-train")))
    message = refusal(tmp_path, text.format("trian"))
    assert "net.yaml:14: stages.1.distillation.teachers.0.stage: " in message
    assert "there is no earlier stage 'trian'" in message
    assert "'01-train'" in message
    assert "no earlier stage" in refusal(tmp_path, text.format("quantize"))


def test_a_teachers_name_must_be_clear(tmp_path):
    stages = (
        "  - {kind: train}\n  - {kind: distill, distillation: {teachers: [{stage: train}]}}\n"
        "  - {kind: train}\n  - {kind: distill, distillation: {teachers: [{stage: train}]}}\n"
    )
    text = GOOD[: GOOD.index("  - kind")] + stages
    message = refusal(tmp_path, text)
    assert "stages.3.distillation" in message
    assert "several earlier stages are called 'train'" in message
    assert "01-train, 03-train" in message


@pytest.mark.parametrize(
    ("distillation", "says"),
    [
        ("{teachers: []}", "at least 1"),
        ("{teachers: [{}]}", "either stage or network"),
        ("{teachers: [{network: {name: tfc}}]}", "either train or checkpoint"),
        ("{teachers: [{stage: train, checkpoint: x.pt}]}", "train and checkpoint belong to"),
        ("{teachers: [{network: {name: tfc}, train: {epochs: 0}}]}", "random weights"),
        ("{teachers: [{stage: train}], alpha: 0}", "learns nothing of teachers"),
        ("{teachers: [{stage: train}], alpha: 1.1}", "less than or equal to 1"),
        ("{teachers: [{stage: train}], temperature: 0}", "greater than 0"),
        (
            "{teachers: [{stage: train}], hints: [{student: a, teacher: b, of: 1}]}",
            "no teacher 1 for layer a; the last is 0",
        ),
        ("{teachers: [{stage: train}], hint: []}", "did you mean 'hints'"),
    ],
)
def test_wrong_distillation_is_named(tmp_path, distillation, says):
    text = GOOD.replace("    epochs: 2\n", f"    epochs: 2\n    distillation: {distillation}\n")
    message = refusal(tmp_path, text)
    assert "net.yaml:10: " in message
    assert says in message


def test_a_network_that_is_null_is_missing_and_no_stages_are_a_choice(tmp_path):
    text = "data: {name: digits}\nnetwork: null\nstages: []\n"
    message = refusal(tmp_path, text)
    assert "`network` is missing" in message
    assert "stages" not in message
