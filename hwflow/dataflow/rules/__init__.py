"""The rules by which operations in normal form become hardware layers, in the module of their
family.

An installed package adds rules by entry points of the group `hwflow.dataflow.rules`: each a module
that has `RULES`, a tuple of them, or a rule itself.
"""

from __future__ import annotations

from functools import cache

from hwflow.dataflow.rules.rule import Rule
from hwflow.errors import HwflowError
from hwflow.registry import Registry

__all__ = ["RULES", "Rule", "rule_of"]

RULES: Registry[Rule] = Registry("hwflow.dataflow.rules", "RULES", Rule)


def rule_of(name: str | None) -> Rule:
    """The rule of a name; one that does nothing if there is none."""
    return _by_name().get(name or "", Rule(""))


@cache
def _by_name() -> dict[str, Rule]:
    by_name: dict[str, Rule] = {}
    for rule in RULES:
        if rule.name in by_name:
            raise HwflowError(
                f"there are two lowering rules of the name {rule.name!r}",
                hint="uninstall one of the packages that add them",
            )
        by_name[rule.name] = rule
    return by_name
