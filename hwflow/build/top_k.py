"""How many classes an accelerator chooses."""

from __future__ import annotations

from hwflow.errors import RequestError
from hwflow.host import Division
from hwflow.recipe.hardware import Hardware


def choosing(hardware: Hardware, top_k: int | None) -> Hardware:
    """What a recipe asks for, `top_k` filled in.

    Args:
        hardware: of the recipe.
        top_k: classes that a model file puts out; None: it puts out numbers.

    Raises:
        RequestError: the two differ.
    """
    top_k = top_k or 1
    if hardware.top_k is None or top_k == 1:
        return hardware.model_copy(update={"top_k": hardware.top_k or top_k})
    if hardware.top_k != top_k:
        raise RequestError(
            f"the model file puts out {top_k} classes, but hardware.top_k is {hardware.top_k}",
            hint="leave hardware.top_k out",
        )
    return hardware


def check_top_k(hardware: Hardware, classes: int) -> None:
    """Fail before any training where more classes are wanted than there are.

    Raises:
        RequestError: says how many there are.
    """
    if hardware.top_k is not None and hardware.top_k > classes:
        raise RequestError(
            f"hardware.top_k is {hardware.top_k}, but the network has {classes} classes",
            hint=f"set it to {classes} or less",
        )


def check_chosen(division: Division, hardware: Hardware) -> None:
    """Refuse a number of classes that the accelerator does not choose.

    Raises:
        RequestError: the host computes the logits; names its first operation.
    """
    if division.tail is not None and hardware.top_k is not None:
        name, kind = division.tail.operations[0]
        raise RequestError(
            f"hardware.top_k is {hardware.top_k}, but the host computes the logits: {kind} {name}"
            " and what follows are not hardware",
            hint="leave hardware.top_k out; tail.onnx gives all logits",
        )
