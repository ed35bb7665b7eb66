"""Named tensors in files, one file per format. Must not know graphs or sessions; importing it loads no numpy."""
