"""The import of a model file."""

from hwflow.facts import Facts


class ImportFacts(Facts):
    """A model file, and how far its normal form agrees with its own execution.

    Attributes:
        file, format: its name, and what it is written in.
        head: what it does behind its logits, which hardware does not.
        top_k: how many classes it puts out, if it puts out classes.
        input: what the accelerator's input numbers mean, in words.
        verified_on: the samples of all comparisons, in words.
        tool: what executed the file.
        samples, undecided, max_abs: of the comparison.
    """

    file: str
    format: str
    head: str | None
    top_k: int | None
    input: str
    verified_on: str
    tool: str
    samples: int
    undecided: int
    max_abs: float
