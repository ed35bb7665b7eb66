"""`ckpt.app`: the entry point of scripts, by TensorFlow's names. Defines nothing itself."""

from ckpt import flags
from ckpt.scripts.command_line import run

__all__ = ["flags", "run"]
