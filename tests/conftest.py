"""What tests share: their tiers, FINN+ set up once, a cache of compiled simulations, options."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

# Each of pytest-xdist's workers gets its share of the cores. The libraries read this when they are
# imported, so it comes before anything that imports them.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    for library in ("OMP", "OPENBLAS", "MKL"):
        threads = max(1, (os.cpu_count() or 1) // workers)
        os.environ.setdefault(f"{library}_NUM_THREADS", str(threads))

import pytest
from hypothesis import HealthCheck, settings

from tests.support.tiers import TIERS, Guard, tier_of

settings.register_profile(
    "hwflow",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("hwflow")
guard = Guard()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rtl-cases", type=int, default=8, help="random networks to simulate in RTL")
    parser.addoption("--rtl-seed", type=int, default=0, help="seed of the random RTL networks")


def pytest_configure(config: pytest.Config) -> None:
    for tier, meaning in TIERS.items():
        config.addinivalue_line("markers", f"{tier}: {meaning}")


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        tier = tier_of(item)
        if item.get_closest_marker(tier) is None:
            item.add_marker(tier)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    unit = item.get_closest_marker("unit") is not None
    with guard.over(item.nodeid) if unit else nullcontext():
        return (yield)


@pytest.fixture(scope="session")
def finn() -> None:
    """FINN+ ready for use."""
    from hwflow.dataflow.finn_setup import prepare_finn

    prepare_finn()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cache of compiled simulations, shared by all tests of a session."""
    folder = tmp_path_factory.getbasetemp()
    # A worker's folder lies in that of the session.
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    return shared / "models"
