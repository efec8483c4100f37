"""Import: a QONNX or QCDQ file that hwflow never saw before, brought to the one form that the
reference and the lowering know, and compared with the file's own execution.

`reading` reads the file, `normal` rewrites it, node by node (`constants`, `elementwise`, `layers`,
`pools`, `quantizers`, `shapes`), `execution` runs it as it is, `samples` finds what it is verified
on, and `importer` does all of it.
"""
