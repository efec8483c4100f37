"""The lowering: from QONNX to a folded graph of hardware layers, every number exact.

`lower.lower` does it. `integers` walks the network and applies the rules in `rules/`, which are
found by the names that the records of operations have for them, and at the end `logits` or
`outputs`; `wires` is what they know of a tensor, `layers` the hardware layers that they add to the
`graph`. `bipolar`, `branches`, `specialise` and `widths` are passes over it, `folding` has each
layer choose its parallelism, `choose_mvau` what multiplies, and `stitch` puts in converters and
FIFOs.
"""
