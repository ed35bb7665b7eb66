"""Optimizers: from gradients to updates of variables."""
