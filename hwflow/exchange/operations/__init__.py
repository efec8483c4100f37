"""The operations of ONNX and QONNX that hwflow knows, each a record (`operation.Operation`) in the
module of its family: how it is imported, what it computes, what batching does to it, and which rule
lowers it.

An installed package adds operations by entry points of the group `hwflow.exchange.operations`: each
a module that has `OPERATIONS`, a tuple of records, or a record itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import onnx

from hwflow.errors import HwflowError
from hwflow.exchange.domains import domain_of
from hwflow.exchange.operations.operation import Operation
from hwflow.registry import Registry

__all__ = ["OPERATIONS", "Operation", "names", "operation_of"]

OPERATIONS: Registry[Operation] = Registry("hwflow.exchange.operations", "OPERATIONS", Operation)
# What is said of an operation that hwflow knows nothing of.
UNKNOWN = Operation(())


def operation_of(node: onnx.NodeProto) -> Operation:
    """The record of a node's operation; one that knows nothing if there is none."""
    return by_name().get((domain_of(node), node.op_type), UNKNOWN)


@cache
def by_name() -> dict[tuple[str, str], Operation]:
    """All records by domain and name.

    Raises:
        HwflowError: there are two of one name.
    """
    records: dict[tuple[str, str], Operation] = {}
    for operation in OPERATIONS:
        for name in operation.types:
            if (operation.domain, name) in records:
                raise HwflowError(
                    f"there are two operations {name} of the domain {operation.domain!r}",
                    hint="uninstall one of the packages that add them",
                )
            records[operation.domain, name] = operation
    return records


def names(known: Callable[[Operation], object]) -> list[str]:
    """The names of the operations of which something holds, sorted."""
    return sorted({name for (_, name), operation in by_name().items() if known(operation)})
