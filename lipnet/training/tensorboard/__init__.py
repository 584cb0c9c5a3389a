"""TensorBoard's view of a run: curves, settings, figures, tables of predictions."""
