"""A package that is not hwflow: ONNX operations of the domain `acme`."""
