"""Import: a QONNX or QCDQ file that hwflow never saw before, brought to the one form that the
reference and the lowering know, and compared with the file's own execution.

`reading` reads the file, `normal` walks over it and has each operation
(`hwflow.exchange.operations`) bring its nodes to normal form, `kept` keeps what only the host runs,
`execution` runs the file as it is, `samples` finds what it is verified on, and `importer` does all
of it.
"""

from hwflow.exchange.importing.importer import Imported, import_model, normalised
from hwflow.exchange.importing.normal import Normal

__all__ = ["Imported", "Normal", "import_model", "normalised"]
