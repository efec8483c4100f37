"""Formal proofs of what a layer's module asserts, for all inputs and all times, with Yosys."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwflow.processes import run_process
from hwflow.rtl.nodes import Node

WORKER = Path(__file__).with_name("formal_worker.py")
# Steps up to which an induction is tried, and in which a state must be reached.
MOST_STEPS = 24


@dataclass(frozen=True)
class Proof:
    """What is known of a module whose outputs hold a `stream_rule` each.

    Attributes:
        steps: length of the induction that proves all assertions, from the registers' initial
            values on, whatever comes in, resets included; None where there is no proof.
        trace: signals of each cycle up to one that breaks an assertion; empty where none does.
        can_be_held: of each output, whether it can be valid and not taken.
        waits: signals, if any, of valid and data that a ready reaches within the same cycle.
    """

    steps: int | None
    trace: str
    can_be_held: tuple[bool, ...]
    waits: int


def prove(node: Node, folder: Path, outputs: int) -> Proof:
    """Prove the assertions of a generated layer by k-induction (Sheeran et al. 2000).

    Nothing is assumed about the inputs, which needn't keep to the rule of streams.

    Raises:
        AssertionError: Yosys can't read the layer, or it has fewer assertions than two an output.
    """
    held = [
        f"sat -tempinduct -tempinduct-baseonly -maxsteps {MOST_STEPS} -prove rule{i}.WasHeld 0"
        for i in range(outputs)
    ]
    commands = (
        f"sat -tempinduct -prove-asserts -maxsteps {MOST_STEPS} -show-ports -show-regs",
        "select -count o:out*_TVALID o:out*_TDATA %u %ci*:-$dff i:out*_TREADY %i",
        *held,
    )
    induction, reached, *held_states = _answers(node, folder, 2 * outputs, commands)
    refutation = induction.partition("model found for base case: FAIL!")
    lengths = re.findall(r"Trying induction with length (\d+)", induction)
    count = re.search(r"^(\d+) objects", reached, re.MULTILINE)
    assert count is not None, reached
    return Proof(
        steps=int(lengths[-1]) if "Induction step proven: SUCCESS!" in induction else None,
        trace=refutation[2],
        can_be_held=tuple("model found for base case" in answer for answer in held_states),
        waits=int(count[1]),
    )


def _answers(node: Node, folder: Path, assertions: int, commands: Sequence[str]) -> list[str]:
    job, log = folder / "formal.json", folder / "formal.log"
    content = {
        "module": node.module,
        "files": [str(file) for file in node.files],
        "assertions": assertions,
        "commands": commands,
    }
    job.write_text(json.dumps(content))
    result = run_process([sys.executable, WORKER, job], cwd=folder, log=log)
    parts = re.split(r"^COMMAND \w+$", result.output, flags=re.MULTILINE)
    assert len(parts) == len(commands) + 2, f"{node.module}: {result.tail(5)}"
    return parts[1:-1]
