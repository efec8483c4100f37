"""Formal proofs of what a module asserts, for all inputs and all times, with Yosys."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hwflow.processes import run_process

WORKER = Path(__file__).with_name("formal_worker.py")
# Steps up to which an induction is tried, and in which a state must be reached.
MOST_STEPS = 24


@dataclass(frozen=True)
class Proof:
    """What is known of a module.

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


def prove(
    module: str,
    files: Sequence[str | Path],
    folder: Path,
    *,
    outputs: int,
    parameters: Mapping[str, int] = MappingProxyType({}),
) -> Proof:
    """Prove the assertions of a module by k-induction (Sheeran et al. 2000).

    Nothing is assumed about the inputs, which need not keep to the rule of streams.

    Args:
        module: its name.
        files: SystemVerilog, seen from the folder.
        folder: where the files that are read from there are, and the log is left.
        outputs: streams that go out; the i-th has FINN's ports and a `stream_rule` called rule`i`.
        parameters: of the module.

    Raises:
        AssertionError: Yosys can't read the module, or it asserts less than a rule for each output.
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
    job = {
        "module": module,
        "parameters": dict(parameters),
        "files": [str(file) for file in files],
        "assertions": max(2 * outputs, 1),
        "commands": commands,
    }
    induction, reached, *held_states = _answers(job, folder)
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


def _answers(job: dict[str, Any], folder: Path) -> list[str]:
    file = folder / "formal.json"
    file.write_text(json.dumps(job))
    result = run_process([sys.executable, WORKER, file], cwd=folder, log=folder / "formal.log")
    parts = re.split(r"^COMMAND \w+$", result.output, flags=re.MULTILINE)
    assert len(parts) == len(job["commands"]) + 2, f"{job['module']}: {result.tail(5)}"
    return parts[1:-1]
