"""Exchange: QONNX and QCDQ files, and the float64 reference that a QONNX file defines.

Nothing is exported here: what reads files knows nothing of how they are written.
"""
