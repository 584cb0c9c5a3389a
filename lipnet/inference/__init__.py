"""Video -> emissions -> transcript."""
