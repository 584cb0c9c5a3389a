"""The network, its layers, checkpoints, ONNX export and conversion of published weights."""
