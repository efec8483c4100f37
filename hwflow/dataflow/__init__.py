"""The lowering: from QONNX to a folded graph of FINN's hardware layers, every number exact.

`lower.lower` does it. `integers` builds the integer graph with `products`, `steps`, `pools`,
`joins` and `logits`; `wires` is what they know of a tensor, `graph` the layers that they add.
`bipolar`, `branches`, `specialise` and `widths` are passes over it, `folding` chooses parallelism,
`cycles` knows what it costs, and `stitch` puts in converters and FIFOs.
"""
