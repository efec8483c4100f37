"""A network that is for export: the build ends after that, says why, and exits with 0."""

import json

from tests.support.command import run

RECIPE = """\
data: {name: digits}
network: {python: 'net.py:network'}
stages:
  - {kind: quantize, target: export, epochs: 1, batch_size: 50}
"""
STEPS = ["check", "01-quantize", "export"]
NETWORK = """
from torch import nn

def network(shape, classes):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(72, classes),
    )
"""


def test_a_network_for_export_ends_after_that_and_the_reports_say_why(tmp_path):
    (tmp_path / "net.yaml").write_text(RECIPE)
    (tmp_path / "net.py").write_text(NETWORK)
    build = ("build", "net.yaml", "--board", "pynq-z2")
    first, again = run(*build, cwd=tmp_path), run(*build, cwd=tmp_path)
    assert first.code == again.code == 0, first.err
    assert first.steps("finished") == again.steps("cached") == STEPS
    assert first.steps("ended") == again.steps("ended") == ["export"]
    place = tmp_path / "runs" / "net-pynq-z2"
    report = json.loads((place / "report.json").read_text())
    assert "target: export" in report["ended"]
    assert report["ended"] in " ".join(first.out.split())
    assert max(report["exchange"]["qonnx_max_abs"], report["exchange"]["qcdq_max_abs"]) < 1e-4
    assert "ended after export" in run("report", place, "--format", "md").out
    verify = run("verify", place)
    assert verify.code == 2
    assert "its build ended after export" in verify.err
