"""Outputs of teachers, kept in memory by sample and augmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

# Python's own memory for a row: its key, its place and their share of a dictionary.
_ROW_OVERHEAD = 200


class OutputCache:
    """Rows of tensors by (sample, variant), up to a limit of memory.

    What does not fit is computed anew each time, so outputs never depend on the limit.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.capacity = 0
        self._places: dict[tuple[int, int], int] = {}
        self._stores: list[NDArray[Any]] = []

    def __len__(self) -> int:
        return len(self._places)

    def rows(
        self,
        sample: torch.Tensor,
        variant: torch.Tensor,
        compute: Callable[[torch.Tensor], Sequence[torch.Tensor]],
    ) -> list[torch.Tensor]:
        """The outputs of a batch.

        Args:
            sample, variant: (B,), which samples and which augmentation of each.
            compute: gives the outputs, each (n, ...), of n places in the batch.

        Returns:
            Outputs (B, ...), in the batch's order, on the device that `compute` gives them on or,
            if all are known, on the device of `sample`.
        """
        keys = list(zip(sample.tolist(), variant.tolist(), strict=True))
        places = np.array([self._places.get(key, -1) for key in keys], dtype=np.int64)
        missing = np.flatnonzero(places < 0)
        if len(missing) == len(keys):
            fresh = list(compute(torch.arange(len(keys), device=sample.device)))
            self._keep([keys[i] for i in missing], fresh)
            return fresh
        device = sample.device
        known = [torch.from_numpy(store[places]).to(device) for store in self._stores]
        if len(missing):
            where = torch.from_numpy(missing).to(device)
            fresh = list(compute(where))
            for whole, part in zip(known, fresh, strict=True):
                whole[where] = part
            self._keep([keys[i] for i in missing], fresh)
        return known

    def _keep(self, keys: Sequence[tuple[int, int]], rows: Sequence[torch.Tensor]) -> None:
        if not self._stores:
            self._allocate(rows)
        new = {key: number for number, key in enumerate(keys) if key not in self._places}
        first = len(self._places)
        chosen = list(new)[: self.capacity - first]
        numbers = np.array([new[key] for key in chosen], dtype=np.int64)
        for store, part in zip(self._stores, rows, strict=True):
            store[first : first + len(chosen)] = part.detach().cpu().numpy()[numbers]
        self._places |= {key: first + index for index, key in enumerate(chosen)}

    def _allocate(self, rows: Sequence[torch.Tensor]) -> None:
        """Reserve room for as many rows as the limit allows.

        NumPy, for the system gives such memory only as it is written; torch may fill it.
        """
        bytes_each = sum(part[0].numel() * part.element_size() for part in rows)
        self.capacity = self.limit // (bytes_each + _ROW_OVERHEAD)
        self._stores = [
            np.empty((self.capacity, *part.shape[1:]), part.detach().cpu().numpy().dtype)
            for part in rows
        ]
