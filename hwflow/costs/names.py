"""Named tensors, which torch's counter of operations can't see."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Nameless(TorchFunctionMode):
    """Tensors keep no names: Brevitas's attention gives its own some, for its algorithms only."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call anything but `rename`."""
        if func in (torch.Tensor.rename, torch.Tensor.rename_):
            return args[0]
        return func(*args, **(kwargs or {}))
