"""What tests share: FINN+ set up once, a cache of compiled simulations, options."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "hwflow",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("hwflow")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rtl-cases", type=int, default=12, help="random networks to simulate in RTL")
    parser.addoption("--rtl-seed", type=int, default=0, help="seed of the random RTL networks")


@pytest.fixture(scope="session")
def finn() -> None:
    """FINN+ ready for use."""
    from hwflow.dataflow.finn_setup import prepare_finn

    prepare_finn()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cache of compiled simulations, shared by all tests of a session."""
    return tmp_path_factory.mktemp("models")
