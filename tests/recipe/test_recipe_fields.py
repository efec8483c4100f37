"""Every option of a recipe is documented, and some code reads it."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, Field

import hwflow
from hwflow.config.union import OneOf
from hwflow.recipe import Digits, FcPreset, Prune, Recipe, Section, Stall, Teacher, Verify
from hwflow.recipe.distillation import Hint
from hwflow.recipe.stages.quantize import LayerPolicy, PostTraining

SOURCES = Path(hwflow.__file__).parent
RECIPE = SOURCES / "recipe"


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation is made of, and those of their fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for part in get_args(annotation):
        yield from models(part)
    if isinstance(annotation, OneOf):
        for member in annotation.members:
            yield from models(member)


def is_discriminator(name: str, annotation: Any) -> bool:
    """Whether a field only tells which model of several it is in."""
    literal = get_origin(annotation) is Literal
    return literal and (name in {"kind", "name"} or len(get_args(annotation)) == 1)


def options(root: type[BaseModel]) -> dict[str, tuple[str, Any]]:
    """Each option as `Model.field`, its name and its field; discriminators left out."""
    return {
        f"{model.__name__}.{name}": (name, field)
        for model in models(root)
        for name, field in model.model_fields.items()
        if not is_discriminator(name, field.annotation)
    }


def undocumented(root: type[BaseModel]) -> list[str]:
    return sorted(where for where, (_, field) in options(root).items() if not field.description)


def unread(root: type[BaseModel], outside: list[ast.Module], recipe: list[ast.Module]) -> list[str]:
    """Options that no code reads.

    Attributes of `self` and of imported modules, and methods that are called, are no options. What
    a recipe's own methods read counts if code outside reads or calls them; validators do not count.
    """
    read: set[str] = set()
    reached: set[str] = set()
    for tree in outside:
        modules = imported(tree)
        read |= set(loads(tree, modules | {"self", "cls"}))
        reached |= mentioned(tree)
    waiting = [f for tree in recipe for f in functions(tree)]
    while found := [f for f in waiting if f.name in reached]:
        waiting = [f for f in waiting if f not in found]
        for function in found:
            read |= set(loads(function, {"cls"}))
            reached |= mentioned(function)
    return sorted(where for where, (name, _) in options(root).items() if name not in read)


def imported(tree: ast.Module) -> set[str]:
    """Names that `import` binds: they are modules."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    return {(a.asname or a.name).split(".")[0] for node in imports for a in node.names}


def loads(tree: ast.AST, not_options: set[str]) -> Iterator[str]:
    """Attributes that are read, by dots or by getattr with a literal name."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            owner = node.value.id if isinstance(node.value, ast.Name) else None
            if owner not in not_options and id(node) not in called:
                yield node.attr
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr":
            name = node.args[1]
            if isinstance(name, ast.Constant):
                yield str(name.value)


def mentioned(tree: ast.AST) -> set[str]:
    """Names of functions, methods and properties that may be used."""
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return attributes | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def functions(tree: ast.Module) -> Iterable[ast.FunctionDef]:
    """Functions and methods that are no validators."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            decorators = {
                n.id for d in node.decorator_list for n in ast.walk(d) if hasattr(n, "id")
            }
            if not decorators & {"model_validator", "field_validator"}:
                yield node


def trees(*, inside: bool) -> list[ast.Module]:
    files = [file for file in SOURCES.rglob("*.py") if file.is_relative_to(RECIPE) == inside]
    return [ast.parse(file.read_text(), str(file)) for file in files]


def test_every_option_is_documented():
    assert undocumented(Recipe) == []


def test_every_option_is_read_by_code_outside_the_recipe():
    assert unread(Recipe, trees(inside=False), trees(inside=True)) == []


def test_the_walk_reaches_models_in_unions_tuples_and_options():
    wanted = {Digits, FcPreset, Stall, Verify, Prune, LayerPolicy, PostTraining, Teacher, Hint}
    assert wanted <= set(models(Recipe))


class Inner(Section):
    kind: Literal["inner"]
    depth: int = Field(1, description="Depth.")
    width: int = 2


class Outer(Section):
    inner: tuple[Inner, ...] | None = Field(None, description="Inner ones.")


OWN = """
class Inner:
    @property
    def area(self): return self._area()
    def _area(self): return self.width
    @model_validator(mode="after")
    def _possible(self): return self.depth > 0 and self.inner
"""


@pytest.mark.parametrize(
    ("code", "dead"),
    [
        ("x.inner; y.depth; y.width", []),
        ("x.inner; y.width", ["Inner.depth"]),
        ("getattr(x, 'inner'); y.depth; y.area", []),
        ("x.inner; self.depth; y.width", ["Inner.depth"]),
        ("import y\nx.inner; y.depth; z.width", ["Inner.depth"]),
        ("x.inner; y.depth(); y.width", ["Inner.depth"]),
        ("x.inner; y.depth = y.width", ["Inner.depth"]),
        ("", ["Inner.depth", "Inner.width", "Outer.inner"]),
    ],
)
def test_an_option_that_nothing_reads_is_found(code, dead):
    assert unread(Outer, [ast.parse(code)], [ast.parse(OWN)]) == dead


def test_an_option_without_description_is_found():
    assert undocumented(Outer) == ["Inner.width"]
