"""Edits of a saved model, graph and checkpoint together: each takes a Draft and gives a new one. `ckpt.surgery` lists them."""
