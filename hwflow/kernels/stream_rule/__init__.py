"""The rule of every stream, asserted in simulation at each output of a kernel."""

from pathlib import Path

SOURCE = Path(__file__).with_name("stream_rule.sv")
