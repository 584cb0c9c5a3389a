"""The speed of each step on this machine: cropping, training and reading. Needs no corpus."""
