"""Variables are named by what they hold."""

import ast
from pathlib import Path

import hwflow

PACKAGE = Path(hwflow.__file__).parent
# Each once stood for hundreds of things.
VAGUE = {"found", "place", "made", "given", "kept"}


def test_no_variable_has_a_name_that_could_be_any_other_ones():
    vague = []
    for source in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            bound = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            name = node.id if bound else getattr(node, "arg", None)
            if name in VAGUE and (bound or isinstance(node, ast.arg)):
                vague.append(f"{source.relative_to(PACKAGE)}:{node.lineno} {name}")
    assert not vague, "\n".join(vague)
