"""`tf.python.client.timeline`: a run's statistics as a Chrome trace. Re-exports only."""

from ckpt.run.trace import Timeline

__all__ = ["Timeline"]
