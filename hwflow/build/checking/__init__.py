"""The check: whether a recipe or a model file can become an accelerator, and what that would be,
found out by doing it with the untrained network."""

from hwflow.build.checking.alone import check_alone
from hwflow.build.checking.capacity import check_fits
from hwflow.build.checking.check import FOR_EXPORT, check_model_file, check_recipe
from hwflow.build.checking.outcome import Check, CheckedLayer, Estimates, HostPart

__all__ = [
    "FOR_EXPORT",
    "Check",
    "CheckedLayer",
    "Estimates",
    "HostPart",
    "check_alone",
    "check_fits",
    "check_model_file",
    "check_recipe",
]
