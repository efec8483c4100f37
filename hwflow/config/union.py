"""Sections that are one of several models: which, and how YAML tells them apart, is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args

from pydantic import BaseModel, Discriminator, GetCoreSchemaHandler, Tag
from pydantic_core import CoreSchema

from hwflow.errors import HwflowError
from hwflow.registry import Registry


@dataclass(frozen=True)
class OneOf:
    """Annotation of a section that any member of a registry can be.

    A member is told by its `key`, a literal of one or more names; one without such a field is told
    by having its own first field. What members there are is asked for when a section is first
    validated, not when its class is made: an outsider's module may import ours to make a member.

    Attributes:
        members: the models.
        key: such as `kind` or `name`.
    """

    members: Registry[Any]
    key: str

    def models(self) -> dict[str, type[BaseModel]]:
        """The members by their names; `key: ...` is one that is told by its first field.

        Raises:
            HwflowError: two members have the same name.
        """
        models: dict[str, type[BaseModel]] = {}
        for model in self.members:
            for name in names(model, self.key):
                if name in models:
                    raise HwflowError(
                        f"{self.key} {name!r} means two things: {_full(models[name])} and"
                        f" {_full(model)}",
                        hint="uninstall the package of one of them",
                    )
                models[name] = model
        return models

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        models = self.models()
        if all(self.key in model.model_fields for model in models.values()):
            members = tuple(dict.fromkeys(models.values()))
            one_of: Any = Annotated[Union[members], Discriminator(self.key)]  # noqa: UP007
            return handler.generate_schema(one_of)
        tagged = tuple(Annotated[model, Tag(name)] for name, model in models.items())
        by_tag = Discriminator(
            self._tag_of(models),
            custom_error_type="union_tag_invalid",
            custom_error_context={
                "discriminator": self.key,
                "tag": "",
                "expected_tags": ", ".join(n for n, m in models.items() if _by_name(m, self.key)),
            },
        )
        one_of = Annotated[Union[tagged], by_tag]  # noqa: UP007
        return handler.generate_schema(one_of)

    def _tag_of(self, models: dict[str, type[BaseModel]]) -> Callable[[Any], str | None]:
        """What tells the name of a member from data, or from a member that is made."""
        own = [
            (next(iter(model.model_fields)), name)
            for name, model in models.items()
            if not _by_name(model, self.key)
        ]

        def tag(value: Any) -> str | None:
            for field, name in own:
                if _get(value, field) is not None:
                    return name
            asked = _get(value, self.key)
            return asked if isinstance(asked, str) and asked in models else None

        return tag


def _get(value: Any, field: str) -> Any:
    """Of data from YAML, or of a section."""
    return value.get(field) if isinstance(value, dict) else getattr(value, field, None)


def names(model: type[BaseModel], key: str) -> tuple[str, ...]:
    """What a member of a union is called in YAML; `field: ...` if only by its first field."""
    if _by_name(model, key):
        return tuple(map(str, get_args(model.model_fields[key].annotation)))
    return (f"{next(iter(model.model_fields))}: ...",)


def _by_name(model: type[BaseModel], key: str) -> bool:
    return key in model.model_fields


def _full(model: type[BaseModel]) -> str:
    return f"{model.__module__}.{model.__qualname__}"
