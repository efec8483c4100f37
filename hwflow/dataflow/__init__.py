"""The lowering: from QONNX to a folded graph of FINN's hardware layers, every number exact.

`lower.lower` does it; `integers` and `thresholds` make the integer graph, `bipolar`, `labels`,
`specialise` and `widths` are passes between FINN+'s own, `folding` chooses parallelism and `stitch`
puts in converters and FIFOs.
"""
