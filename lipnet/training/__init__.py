"""The training loop, run directories and TensorBoard."""
