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
        tree = ast.parse(source.read_text())
        fields = {n.target for n in ast.walk(tree) if isinstance(n, ast.AnnAssign)}
        for node in ast.walk(tree):
            bound = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            bound = bound and node not in fields  # of a file that others read
            name = node.id if bound else getattr(node, "arg", None)
            if name in VAGUE and (bound or isinstance(node, ast.arg)):
                vague.append(f"{source.relative_to(PACKAGE)}:{node.lineno} {name}")
    assert not vague, "\n".join(vague)
