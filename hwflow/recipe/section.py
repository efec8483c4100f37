"""Base of every part of a recipe."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every part of a recipe: unknown keys are errors, values never change.

    A section is put together when it is first used, not when its class is made: what its parts can
    be is found in modules, and in those of other packages, that import this one (`config.union`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, defer_build=True)
