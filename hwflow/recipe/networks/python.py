"""Options of the user's own networks."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hwflow.recipe.network import Network


class PythonNetwork(Network):
    """A network of the user's own: `function(shape, classes, **args) -> torch.nn.Module`."""

    python: str = Field(
        pattern=r"^.+\.py:[A-Za-z_]\w*$",
        description="path/file.py:function, relative to the recipe.",
    )
    args: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments for it.")

    @property
    def file(self) -> str:
        """The file, relative to the recipe."""
        return self.python.rpartition(":")[0]

    @property
    def function(self) -> str:
        """The function in it."""
        return self.python.rpartition(":")[2]

    @property
    def files(self) -> tuple[str, ...]:
        """The file; what else it reads is known once it has run (`networks.user.files_read`)."""
        return (self.file,)


SCHEMA = PythonNetwork
