"""Things of a kind that are found, not listed: those of hwflow in a package, others' by entry
points."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from functools import cache, cached_property
from importlib import metadata
from typing import Any, Generic, TypeVar, get_args, get_origin

from hwflow.errors import HwflowError

Member = TypeVar("Member")


class Registry(Generic[Member]):
    """All things of one kind.

    hwflow's own are those that the modules of one of its packages have under a certain name. An
    installed package adds to them by an entry point, whose group is that package's name:

        [project.entry-points."hwflow.families"]
        artix = "their_package.artix"

    Its value is a module that has the same name, or `module:object`, the thing itself.

    Args:
        package: of hwflow, such as `hwflow.families`. It must be given as a literal: the code
            that a step follows from is read from the sources, and this says that all of the
            package's modules, and all entry points of the group, belong to it.
        attribute: what a module calls its member, or a tuple of members.
        kind: the type of the members, or `type[Base]` where they are classes; anything else is an
            error.
    """

    def __init__(self, package: str, attribute: str, kind: type[Member] | Any) -> None:
        self.package = package
        self.attribute = attribute
        self.kind = kind

    def __iter__(self) -> Iterator[Member]:
        """The members: hwflow's own by the names of their modules, then others'."""
        return iter(self._members)

    @cached_property
    def _members(self) -> tuple[Member, ...]:
        own = [importlib.import_module(name) for name in own_modules(self.package)]
        members = [m for module in own for m in _several(getattr(module, self.attribute, ()))]
        for point in entry_points(self.package):
            members += self._others(point)
        return tuple(members)

    def _others(self, point: metadata.EntryPoint) -> list[Any]:
        """What an installed package adds.

        Raises:
            HwflowError: the entry point can't be loaded, or is no such thing; names it.
        """
        where = f"entry point {point.name} = {point.value!r} of {_distribution(point)}"
        try:
            loaded = point.load()
        except Exception as error:
            raise HwflowError(
                f"{where} can't be loaded: {type(error).__name__}: {error}",
                hint="mend or uninstall that package",
            ) from error
        members = _several(loaded if point.attr else getattr(loaded, self.attribute, ()))
        if not members or not all(self._is_one(member) for member in members):
            raise HwflowError(
                f"{where} gives no {self._kind_in_words}",
                hint=f"name a module that has {self.attribute}, or the object itself",
            )
        return members

    def _is_one(self, member: Any) -> bool:
        if get_origin(self.kind) is not type:
            return isinstance(member, self.kind)
        return isinstance(member, type) and issubclass(member, get_args(self.kind))

    @property
    def _kind_in_words(self) -> str:
        if get_origin(self.kind) is not type:
            return str(self.kind.__name__)
        return f"subclass of {get_args(self.kind)[0].__name__}"

    def implementation(self, settings: object) -> Member:
        """The member whose `schema` is the class of some settings.

        Raises:
            HwflowError: there is none: of what an installed package adds, only the schema is there.
        """
        schema = type(settings)
        for member in self:
            if getattr(member, "schema", None) is schema:
                return member
        raise HwflowError(
            f"{schema.__module__}.{schema.__qualname__} can be named in a recipe, but nothing of"
            f" {self.package} implements it",
            hint=f"its package needs an entry point of the group {self.package!r} too, for a"
            f" {self._kind_in_words} with that schema",
        )


def own_modules(package: str) -> list[str]:
    """Dotted names of the modules and packages right inside a package of hwflow, sorted."""
    path = importlib.import_module(package).__path__
    return sorted(f"{package}.{module.name}" for module in pkgutil.iter_modules(path))


def entry_points(group: str) -> list[metadata.EntryPoint]:
    """The entry points of a group, sorted by name."""
    points = installed_entry_points(tuple(sys.path)).select(group=group)
    return sorted(points, key=lambda point: point.name)


@cache
def installed_entry_points(path: tuple[str, ...]) -> metadata.EntryPoints:
    """All entry points of the packages on a path, which are read from hundreds of files."""
    points: Any = metadata.entry_points()  # Before Python 3.12 a mapping of the same methods.
    selectable: metadata.EntryPoints = points
    return selectable


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


def _distribution(point: metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an installed package"
