"""Differential fuzzing: random networks through software, emulator and RTL, compared bit by bit.

    python -m tests.fuzz --networks 500 --seed 0 --rtl-every 10
    python -m tests.fuzz --case fuzz-failures/17.json

A case that fails is made as small as it can be and saved as a file that reproduces it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.support.fuzzing.case import Case, random_case
from tests.support.fuzzing.check import Failure, outcome
from tests.support.fuzzing.shrink import shrink


def main() -> int:
    """Run what the command line says; 1: something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--networks", type=int, default=100, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the next have the next")
    parser.add_argument("--rtl-every", type=int, default=0, help="simulate one in so many; 0: none")
    parser.add_argument("--case", type=Path, help="run a saved case instead")
    parser.add_argument(
        "--attempts", type=int, default=50, help="cases to try, to make one that fails smaller"
    )
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"), help="for saved cases")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hwflow-fuzz-") as cache:
        if options.case is not None:
            result = outcome(Case.from_json(json.loads(options.case.read_text())), Path(cache))
            print(result.message if isinstance(result, Failure) else result)
            return int(isinstance(result, Failure))
        counts: Counter[str] = Counter()
        started = time.monotonic()
        for number in range(options.networks):
            rtl = options.rtl_every > 0 and number % options.rtl_every == options.rtl_every - 1
            counts.update(_run(options, options.seed + number, rtl, Path(cache)))
            if (number + 1) % 20 == 0 or number + 1 == options.networks:
                print(f"{time.monotonic() - started:.0f} s: {dict(counts)}", flush=True)
        return int(counts["failed"] > 0)


def _run(options: argparse.Namespace, seed: int, rtl: bool, cache: Path) -> list[str]:
    """One case: what it counts as."""
    case = random_case(seed, rtl=rtl)
    result = outcome(case, cache)
    through = ["RTL"] if rtl else []
    if not isinstance(result, Failure):
        return ["networks", result, *through]
    print(f"seed {seed}: {result.message}", flush=True)
    way = result.way

    def fails(candidate: Case) -> bool:
        again = outcome(candidate, cache)
        return isinstance(again, Failure) and again.way == way

    small = shrink(case, fails, options.attempts)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / f"{seed}.json"
    file.write_text(json.dumps(small.as_json(), indent=1) + "\n")
    print(f"seed {seed}: saved as {file}", flush=True)
    return ["networks", "failed", *through]


if __name__ == "__main__":
    sys.exit(main())
