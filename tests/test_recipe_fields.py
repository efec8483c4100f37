"""Every option of a recipe is documented, and does something: its field is read by the code."""

import ast
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel

import hwflow
from hwflow.recipe import Recipe

PACKAGE = Path(hwflow.__file__).parent


def models(annotation, found):
    """All models that an annotation leads to."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in found:
            found.append(annotation)
            for info in annotation.model_fields.values():
                models(info.annotation, found)
        return found
    for part in typing.get_args(annotation):
        models(part, found)
    return found


def read_names():
    """Names that the code reads as attributes, or by `getattr`, outside the recipe itself."""
    names = set()
    for file in PACKAGE.rglob("*.py"):
        if file.is_relative_to(PACKAGE / "recipe"):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                names.add(node.attr)
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr":
                names.update(a.value for a in node.args[1:2] if isinstance(a, ast.Constant))
    return names


MODELS = models(Recipe, [])
FIELDS = [
    pytest.param(model, name, id=f"{model.__name__}.{name}")
    for model in MODELS
    for name in model.model_fields
]
READ = read_names()


def test_the_walk_reaches_all_parts():
    assert {"Recipe", "Quantize", "LayerPolicy", "PostTraining", "Distillation", "Verify"} <= {
        model.__name__ for model in MODELS
    }
    assert len(FIELDS) > 60
    assert "no_such_option" not in READ


@pytest.mark.parametrize(("model", "name"), FIELDS)
def test_it_is_read(model, name):
    assert name in READ, f"nothing reads {model.__name__}.{name}"


# What a value of these chooses among documents itself.
SELF_EXPLAINING = frozenset({"kind", "name"})


@pytest.mark.parametrize(("model", "name"), FIELDS)
def test_it_is_documented(model, name):
    info = model.model_fields[name]
    sections = models(info.annotation, [])
    documented = info.description or name in SELF_EXPLAINING
    assert documented or all(section.__doc__ for section in sections or [None])


@pytest.mark.parametrize("model", MODELS)
def test_models_are_documented_and_refuse_unknown_keys(model):
    assert model.__doc__
    assert model.model_config["extra"] == "forbid"
