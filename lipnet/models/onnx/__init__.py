"""Networks as ONNX files: the graph, and the metadata of a file."""
