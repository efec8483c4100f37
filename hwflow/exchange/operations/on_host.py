"""Operations that hardware does not know, and the host runs: only whether they treat each frame by
itself, and what runs them, is known."""

from __future__ import annotations

from hwflow.exchange.operations.operation import EACH, Operation, along

OPERATIONS = (
    # onnxruntime computes these in float64, too.
    Operation(("Abs", "Sqrt", "Pow"), batching=EACH, exact=True),
    Operation(("Erf", "Floor", "Round", "Ceil", "Exp", "Log"), batching=EACH),
    Operation(("Min", "Max", "Where", "GreaterOrEqual"), batching=EACH),
    Operation(("HardSwish", "Gelu"), batching=EACH),
    Operation(("ConvTranspose",), batching=EACH, slow=True),
    Operation(("Gather",), batching=along(0)),
    Operation(("LayerNormalization",), batching=along(-1), exact=True),
)
