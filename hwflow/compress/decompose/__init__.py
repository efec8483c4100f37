"""Stage `decompose`: layers become products of smaller ones (Tucker, CP, SVD)."""

from hwflow.compress.decompose.stage import DecomposeStage

__all__ = ["STAGE", "DecomposeStage"]

STAGE = DecomposeStage()
