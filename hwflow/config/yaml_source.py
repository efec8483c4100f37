"""YAML files that remember where each key stands, and errors that say so."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from hwflow.config.union import OneOf
from hwflow.errors import RequestError

# Names that a hint lists at the most, and how many it lists instead where there are more.
LISTED, NEAREST = 40, 8

Key = str | int
Path_ = tuple[Key, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass
class Source:
    """Data from a YAML file and where it stands in it.

    Attributes:
        name: how the file is called in messages.
        data: the top-level mapping.
        lines: line (from 1) of each key, by its path.
        given: paths that did not come from the file, and what to call their place.
    """

    name: str
    data: dict[str, Any]
    lines: dict[Path_, int] = field(default_factory=dict)
    given: dict[Path_, str] = field(default_factory=dict)

    def place(self, path: Path_) -> str:
        """`file:line: a.b` of a key, or of the nearest key above it that is in the file."""
        dotted = ".".join(str(key) for key in path)
        for override, called in self.given.items():
            shared = min(len(override), len(path))
            if (
                path
                and override[:shared] == path[:shared]
                and (len(override) <= len(path) or path not in self.lines)
            ):
                return f"{called}: {dotted}"
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return f"{self.name}:{self.lines[path[:length]]}: {dotted}"
        return f"{self.name}: {dotted}" if dotted else self.name


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint that offers the valid name nearest to `name`, and all of them, or of many the nearest.

    Of a regular expression, what is not its syntax counts.
    """
    names = list(valid)
    name = re.sub(r"[\\^$*+?()\[\]{}|]", "", name)
    if len(names) > LISTED:
        names = difflib.get_close_matches(name, names, NEAREST, cutoff=0.0)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    listed = ", ".join(names)
    return f"did you mean {close[0]!r}? Valid are: {listed}" if close else f"valid are: {listed}"


def load_yaml(path: Path) -> Source:
    """Read a YAML file whose top level is a mapping.

    Raises:
        RequestError: no such file, not text, not YAML, a key twice, or no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}", hint="check the path") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{path}: is not a text file", hint="give a YAML file") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> Source:
    """Like `load_yaml`, of text; `name` is used in messages."""
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None or not isinstance(node, yaml.MappingNode):
            content = "empty" if node is None else "not a mapping of keys to values"
            raise RequestError(f"{name}: the file is {content}", hint="write `key: value` lines")
        lines: dict[Path_, int] = {}
        _index(node, (), lines, name)
        return Source(name, loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise RequestError(
            f"{where}: this is not YAML: {error.problem or error.context}",
            hint="check indentation, colons and quotes there",
        ) from error
    except yaml.YAMLError as error:
        raise RequestError(
            f"{name}: this is not YAML: {error}", hint="give a text file in YAML"
        ) from error
    finally:
        if loader is not None:
            loader.dispose()


def _index(node: yaml.Node, path: Path_, lines: dict[Path_, int], name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value in node.value:
            key = (*path, key_node.value)
            line = key_node.start_mark.line + 1
            if key in lines:
                raise RequestError(
                    f"{name}:{line}: {'.'.join(map(str, key))}: this key is already on line"
                    f" {lines[key]}",
                    hint="remove one of the two",
                )
            lines[key] = line
            _index(value, key, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            lines[(*path, number)] = value.start_mark.line + 1
            _index(value, (*path, number), lines, name)


# ------------------------------------------------------------------------------- validation


def check(model: type[Model], source: Source) -> Model:
    """Validate a source against a model.

    Raises:
        RequestError: naming every wrong key with its place, what was expected, and for an unknown
            name the nearest valid one.
    """
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        problems = _distinct(source, error.errors())
        texts = [_problem(model, source, e) for e in problems]
        hints = [hint for _, hint in texts if hint]
        message = "\n".join(dict.fromkeys(text for text, _ in texts))
        raise RequestError(message, hint=hints[0] if hints else None) from None


def _distinct(source: Source, errors: Sequence[Any]) -> list[Any]:
    """One error a place: a union reports one for each of its members, a list that lost its
    wrong items that it is too short."""
    by_path: dict[Path_, Any] = {}
    for error in errors:
        path = _real_path(source.data, error["loc"])
        names = isinstance(error.get("input"), str) and error["type"] == "literal_error"
        if path not in by_path or names:
            by_path[path] = error
    return [
        error
        for path, error in by_path.items()
        if not any(other != path and other[: len(path)] == path for other in by_path)
    ]


def _problem(model: type[BaseModel], source: Source, error: Any) -> tuple[str, str | None]:
    path = _real_path(source.data, error["loc"])
    kind, value = error["type"], error.get("input")
    if kind == "extra_forbidden":
        valid = _fields_at(model, error["loc"][:-1])
        return f"{source.place(path)}: there is no such key", nearest(str(path[-1]), valid)
    if kind == "missing":
        parent = source.place(path[:-1])
        return f"{parent}: the key `{path[-1]}` is missing", _describe(model, error["loc"])
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        text, hint = _wrong_tag(source, path, error)
        return text, hint or _describe(model, error["loc"])
    if kind == "literal_error":
        expected = [part.strip(" '") for part in _split_choices(error["ctx"]["expected"])]
        return f"{source.place(path)}: {value!r} is not known", nearest(str(value), expected)
    message = error["msg"].removeprefix("Value error, ")
    return f"{source.place(path)}: {message[0].lower()}{message[1:]}, not {value!r}", _describe(
        model, error["loc"]
    )


def _split_choices(text: str) -> list[str]:
    return text.replace(" or ", ", ").split(", ")


def _wrong_tag(source: Source, path: Path_, error: Any) -> tuple[str, str | None]:
    context = error["ctx"]
    key = str(context.get("discriminator", "name")).strip("'")
    valid = [part.strip(" '") for part in _split_choices(context.get("expected_tags", ""))]
    valid = [name for name in valid if name]
    value = error["input"].get(key) if isinstance(error.get("input"), dict) else error.get("input")
    if value is None:
        text = f"{source.place(path)}: the key `{key}` is missing"
        return text, nearest("", valid) if valid else None
    return f"{source.place((*path, key))}: {value!r} is not known", nearest(str(value), valid)


def _real_path(data: Any, location: Sequence[Key]) -> Path_:
    """The path in the file of a pydantic location, which also names union tags."""
    path: list[Key] = []
    for index, key in enumerate(location):
        last = index == len(location) - 1
        inside = (isinstance(data, dict) and key in data) or (
            isinstance(data, list | tuple) and isinstance(key, int) and key < len(data)
        )
        if inside:
            path.append(key)
            data = data[key]
        elif last and isinstance(data, dict):
            path.append(key)
    return tuple(path)


def _model_at(model: type[BaseModel], location: Sequence[Key]) -> type[BaseModel] | None:
    """The model of the section at a pydantic location."""
    candidates = [(model, "")]
    for key in location:
        chosen = [(m, tag) for m, tag in candidates if tag == key]
        fields = [m.model_fields[str(key)] for m, _ in candidates if str(key) in m.model_fields]
        if chosen:
            candidates = chosen
        elif fields:
            candidates = [pair for info in fields for pair in _models_of(info)]
        elif not isinstance(key, int):
            return None
    return candidates[0][0] if candidates else None


def _models_of(info: FieldInfo) -> list[tuple[type[BaseModel], str]]:
    """The models of a field, whose own annotation pydantic takes apart."""
    of_metadata = [pair for extra in info.metadata for pair in _found(extra)]
    return of_metadata or _models(info.annotation)


def _found(extra: Any) -> list[tuple[type[BaseModel], str]]:
    if not isinstance(extra, OneOf):
        return []
    return [(model, name) for name, model in extra.models().items()]


def _models(annotation: Any) -> list[tuple[type[BaseModel], str]]:
    """The models in an annotation, each with the tags by which a union tells it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        own = [
            str(value)
            for info in annotation.model_fields.values()
            for value in getattr(info.annotation, "__args__", ())
            if isinstance(value, str)
        ]
        return [(annotation, name) for name in own or [""]]
    for extra in getattr(annotation, "__metadata__", ()):
        if isinstance(extra, OneOf):
            return _found(extra)
    return [pair for part in getattr(annotation, "__args__", ()) for pair in _models(part)]


def _fields_at(model: type[BaseModel], location: Sequence[Key]) -> list[str]:
    nested = _model_at(model, location)
    return list(nested.model_fields) if nested is not None else []


def _describe(model: type[BaseModel], location: Sequence[Key]) -> str | None:
    """What the field at a pydantic location is, which may go on into a union's members."""
    for end in range(len(location), 0, -1):
        section = _model_at(model, location[: end - 1])
        info = section.model_fields.get(str(location[end - 1])) if section is not None else None
        if info is not None:
            return info.description
    return None
