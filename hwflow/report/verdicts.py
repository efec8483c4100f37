"""What a verification found wrong, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def failures(facts: Mapping[str, Any]) -> list[str]:
    """A sentence for each execution that parts from the one before it.

    Args:
        facts: what `hwflow.verify.executions.verify` returned.

    Returns:
        For each, how many samples differ, and the first layer, sample and values.
    """
    executions = [("the emulator", facts["emulator"])]
    executions += [
        (f"the RTL, stalled {e['stall']['source']} % in and {e['stall']['sink']} % out,", e)
        for e in facts.get("rtl", ())
    ]
    return [
        f"{name} differs in {e['mismatches']} of {e['samples']} samples, {_where(e['difference'])}"
        for name, e in executions
        if e["mismatches"]
    ]


def _where(difference: Mapping[str, Any]) -> str:
    return (
        f"first in layer {difference['layer']}, sample {difference['sample']}: expected"
        f" {difference['expected']}, got {difference['got']}"
    )
