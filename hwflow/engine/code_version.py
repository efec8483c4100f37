"""Which version of the code a step would run: the content of all sources that its module reaches.

The import closure of a module is read from the sources, without running them: what a module
imports, anywhere in it, belongs to it, and what that imports; imports for type checkers alone do
not. So do the packages that a module lies in, files that are no Python beside it (SystemVerilog,
C++, templates), modules that are named in a string (run as a process of their own), and all
members of a `Registry` that it makes. Other distributions that it imports count by their version.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from hwflow.engine.artifacts import file_hash, value_hash
from hwflow.registry import entry_points, installed_entry_points

PACKAGE = Path(__file__).parents[1]
# In place of a module's name: all members of a registry.
_ALL = "*"
# Strings that name a module: one of hwflow's, and a script that lies beside the source.
_MODULE, _SCRIPT = re.compile(r"hwflow(\.\w+)+"), re.compile(r"\w+\.py")
_CODE = {".py", ".pyc"}


@dataclass(frozen=True)
class Closure:
    """What a module's outcome follows from.

    Attributes:
        sources: each file of hwflow's, or of a package that adds to it, by its place such as
            `hwflow/rtl/design.py`.
        distributions: names of the others that are imported.
    """

    sources: Mapping[str, Path]
    distributions: tuple[str, ...]

    @property
    def version(self) -> str:
        """Hash of the sources' contents and the distributions' versions."""
        hashes = {location: file_hash(path) for location, path in self.sources.items()}
        return value_hash([hashes, {name: _version(name) for name in self.distributions}])


def code_version(module: str, package: Path = PACKAGE) -> str:
    """Hash of all code that a module's outcome follows from.

    Args:
        module: dotted name.
        package: folder of the hwflow package.

    Raises:
        ModuleNotFoundError: there is no such module in hwflow or in a package that adds to it.
    """
    return closure(module, package).version


def closure(module: str, package: Path = PACKAGE) -> Closure:
    """The import closure of a module; see `code_version`."""
    roots = {"hwflow": package, **_outsiders()}
    top = module.split(".")[0]
    roots.setdefault(top, _root(top))
    sources: dict[str, Path] = {}
    foreign: set[str] = set()
    names, seen = [module], {module}
    while names:
        name = names.pop()
        path = _path(name, roots)
        if path is None:
            raise ModuleNotFoundError(f"there is no module {name}", name=name)
        sources |= _files(path, roots)
        for imported in (*_parents(name), *_imported(name, path, roots)):
            top = imported.split(".")[0]
            if top not in roots:
                foreign.add(top)
            elif imported not in seen and _path(imported, roots) is not None:
                seen.add(imported)
                names.append(imported)
    return Closure(dict(sorted(sources.items())), _distributions(frozenset(foreign)))


def _outsiders() -> dict[str, Path]:
    """The folder or file of each package that adds something to hwflow."""
    points = installed_entry_points(tuple(sys.path))
    groups = [name for name in points.groups if name.startswith("hwflow.")]
    tops = {point.module.split(".")[0] for group in groups for point in entry_points(group)}
    return {top: _root(top) for top in sorted(tops - {"hwflow"})}


def _root(top: str) -> Path:
    """The folder of a top-level package, or the file of a module that is in none."""
    if top == "__main__":
        return Path(str(sys.modules[top].__file__))
    spec = importlib.util.find_spec(top)
    if spec is None:
        raise ModuleNotFoundError(f"there is no module {top}", name=top)
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(str(spec.origin))


def _path(name: str, roots: Mapping[str, Path]) -> Path | None:
    """The source of a module; None: it is none, but the name of something in one."""
    top, *rest = name.split(".")
    root = roots[top]
    if root.is_file():
        return None if rest else root
    base = root.joinpath(*rest)
    for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
        if path.is_file():
            return path
    return None


def _files(path: Path, roots: Mapping[str, Path]) -> Iterator[tuple[str, Path]]:
    """A module's source and the files beside it that are no Python, by their places."""
    for top, root in roots.items():
        if path == root:
            yield path.name, path
        elif path.is_relative_to(root):
            location = Path(top) / path.relative_to(root)
            yield location.as_posix(), path
            for other in path.parent.iterdir():
                if other.is_file() and other.suffix not in _CODE and other.name[0] != ".":
                    yield location.with_name(other.name).as_posix(), other


def _parents(name: str) -> list[str]:
    """The packages that are imported on the way to a module."""
    parts = name.split(".")[:-1]
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def _imported(name: str, path: Path, roots: Mapping[str, Path]) -> Iterator[str]:
    """Modules that a module may import, and names that may be modules."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for reference in _references(package, path.read_bytes()):
        group, _, rest = reference.rpartition(".")
        if rest == _ALL:
            yield from _members(group, roots)
        else:
            yield reference


def _members(group: str, roots: Mapping[str, Path]) -> Iterator[str]:
    """The modules that a registry looks in."""
    top, *rest = group.split(".")
    for path in sorted(roots[top].joinpath(*rest).iterdir()):
        if path.suffix == ".py" or (path / "__init__.py").is_file():
            yield f"{group}.{path.stem}"
    yield from (point.module for point in entry_points(group))


@cache
def _references(package: str, text: bytes) -> tuple[str, ...]:
    """What a source refers to: dotted names; `hwflow.families.*` are the members of a registry.

    Args:
        package: that relative imports start from.
        text: of the source.
    """
    return tuple(dict.fromkeys(_names(ast.parse(text), package)))


def _names(node: ast.AST, package: str) -> Iterator[str]:
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=otherwise):
            for statement in otherwise:
                yield from _names(statement, package)
            return
        case ast.Import(names=aliases):
            yield from (alias.name for alias in aliases)
        case ast.ImportFrom(module=module, names=aliases, level=level):
            base = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            source = ".".join([*base, *([module] if module else [])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in aliases)
        case ast.Call(
            func=ast.Name(id="Registry") | ast.Subscript(value=ast.Name(id="Registry")),
            args=[ast.Constant(value=str(group)), *_],
        ):
            yield f"{group}.{_ALL}"
        case ast.Constant(value=str(text)) if _MODULE.fullmatch(text):
            yield text
        case ast.Constant(value=str(text)) if _SCRIPT.fullmatch(text):
            yield f"{package}.{text.removesuffix('.py')}"
    for child in ast.iter_child_nodes(node):
        yield from _names(child, package)


# ------------------------------------------------------------------------- other distributions


@cache
def _distributions(modules: frozenset[str]) -> tuple[str, ...]:
    """The installed distributions that top-level modules come from."""
    known = _providers()
    names = {name for module in modules for name in known.get(module, ())}
    return tuple(sorted(names - {"hwflow"}))


@cache
def _providers() -> Mapping[str, list[str]]:
    names = metadata.packages_distributions()
    return {
        m: distributions for m, distributions in names.items() if m not in sys.stdlib_module_names
    }


@cache
def _version(distribution: str) -> str:
    return metadata.version(distribution)
