"""Bitstreams: the back ends that make them, one file each, and why one is not made."""

from __future__ import annotations

from hwflow.bitstream.backend import Bitstream, BitstreamBackend
from hwflow.board import Board
from hwflow.families import Family, family
from hwflow.registry import Registry

__all__ = ["BACKENDS", "Bitstream", "BitstreamBackend", "backend_for", "serving", "why_skipped"]

BACKENDS: Registry[BitstreamBackend] = Registry("hwflow.bitstream", "BACKEND", BitstreamBackend)


def serving(of: Family) -> list[BitstreamBackend]:
    """The back ends for a family: those that hwflow runs first."""
    return sorted((b for b in BACKENDS if b.serves(of)), key=lambda backend: not backend.runs)


def backend_for(board: Board) -> BitstreamBackend | None:
    """The back end that makes a board's bitstreams here and now; None if none does."""
    return next((b for b in serving(family(board.family)) if b.why_not() is None), None)


def why_skipped(board: Board) -> str:
    """Why a build for this board ends without a bitstream, and what one would take."""
    backends = serving(family(board.family))
    if not backends:
        return f"no back end makes bitstreams for {board.family}; the sources in rtl/ are complete"
    reasons = [reason for backend in backends if (reason := backend.why_not())]
    if len(reasons) < len(backends):
        return "the build ended before it was made; the sources in rtl/ are complete"
    return f"{'; or '.join(reasons)}; the sources in rtl/ are complete"
