"""Bytes to `core.defs` and back: TensorFlow's protocol buffers and our own msgpack. Knows no graph, no session."""
