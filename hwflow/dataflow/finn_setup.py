"""Makes FINN+ usable as a library: its settings, its build folder, its log level."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from functools import cache


@cache
def prepare_finn() -> None:
    """Set up FINN+ once in this process, before any of its modules is imported.

    FINN+ refuses to work without an absolute FINN_BUILD_DIR, and reads its settings from a file
    of the user's unless it is given dummy ones. Nothing that matters is written to that folder:
    generated files go where hwflow says.
    """
    if "FINN_BUILD_DIR" not in os.environ:
        os.environ["FINN_BUILD_DIR"] = tempfile.mkdtemp(prefix="hwflow-finn-")
        atexit.register(shutil.rmtree, os.environ["FINN_BUILD_DIR"], ignore_errors=True)
    from finn.util.settings import initialize_dummy_settings

    initialize_dummy_settings()
    for name in ("finn", "finn_logger", "qonnx"):
        logging.getLogger(name).setLevel(logging.ERROR)

    from hwflow.kernels.catalogue import register

    register()
