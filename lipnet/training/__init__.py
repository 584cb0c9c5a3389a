"""Training: losses, optimisation, the loop over batches, run directories and TensorBoard logging."""
