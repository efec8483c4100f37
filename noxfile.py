"""The unit tests and a build, on each supported version of Python that the machine has."""

import nox

nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"


@nox.session(python=["3.11", "3.12", "3.13"])
def versions(session: nox.Session) -> None:
    """Install, run the unit tests, and build the first recipe of the README."""
    session.install(".[dev]")
    session.run("python", "-m", "pytest", *session.posargs)
    run = session.create_tmp()
    session.run(
        *("hwflow", "build", "recipes/digits-mlp.yaml", "--board", "pynq-z2", "--out", f"{run}/run")
    )
