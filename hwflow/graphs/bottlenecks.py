"""Where a graph of operations can be divided at a single value, and what lies where against the
layers that have to be hardware.

Operations are numbers, in an order of computation; all of them lead from the graph's one input to
its one output.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

INPUT = -1


class Place(Enum):
    """Where an operation lies against the products."""

    BEFORE = "before"
    BEHIND = "behind"
    BETWEEN = "between"
    BESIDE = "beside"


@dataclass(frozen=True)
class Order:
    """Operations in an order of computation.

    Attributes:
        reads: of each, the numbers of those whose values it reads; INPUT: the graph's input.
        products: numbers of the layers that have to be hardware.
    """

    reads: tuple[tuple[int, ...], ...]
    products: frozenset[int]

    def place(self, number: int) -> Place:
        """Where an operation lies; a product lies between."""
        before = number in self._related(forwards=False)
        behind = number in self._related(forwards=True)
        if before and behind:
            return Place.BETWEEN
        if before:
            return Place.BEFORE
        return Place.BEHIND if behind else Place.BESIDE

    def _related(self, *, forwards: bool) -> set[int]:
        """The products and what they depend on, or what depends on them."""
        related = set(self.products)
        if forwards:
            for number, sources in enumerate(self.reads):
                if related.intersection(sources):
                    related.add(number)
        else:
            for number in reversed(range(len(self.reads))):
                if number in related:
                    related.update(self.reads[number])
        return related

    def bottlenecks(self) -> list[int]:
        """Operations through whose value every path from the input to the output goes."""
        last: dict[int, int] = {}
        for number, sources in enumerate(self.reads):
            last.update(dict.fromkeys(sources, number))
        numbers, latest = [], last.get(INPUT, 0)
        for number in range(len(self.reads)):
            if latest <= number:
                numbers.append(number)
            latest = max(latest, last.get(number, number))
        return numbers

    def begin(self, behind: int, quantizers: Collection[int]) -> int | None:
        """The first quantizer after an operation at which the graph can be divided in front of all
        products; None: there is none.

        Args:
            behind: the operation; INPUT: any quantizer will do.
            quantizers: those that can be the border. A product that quantizes its own input may
                be one of them.
        """
        first = min(self.products, default=len(self.reads))
        borders = (n for n in self.bottlenecks() if n in quantizers and behind < n <= first)
        return next(borders, None)

    def end(self, before: int) -> int | None:
        """The last operation before another one at whose value the graph can be divided behind all
        products; None: there is none."""
        last = max(self.products, default=len(self.reads))
        return next((n for n in reversed(self.bottlenecks()) if last <= n < before), None)
