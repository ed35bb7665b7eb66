"""Facade: the names of `tf.random`. Re-exports only."""

from ckpt.graph.scopes import set_random_seed
from ckpt.ops.distributions import multinomial, random_crop
from ckpt.ops.distributions import random_gamma as gamma  # TensorFlow's name
from ckpt.ops.distributions import random_poisson as poisson  # TensorFlow's name
from ckpt.ops.random import get_seed, truncated_normal
from ckpt.ops.random import random_normal as normal  # TensorFlow's name
from ckpt.ops.random import random_shuffle as shuffle  # TensorFlow's name
from ckpt.ops.random import random_uniform as uniform  # TensorFlow's name

__all__ = [
    "gamma",
    "get_seed",
    "multinomial",
    "normal",
    "poisson",
    "random_crop",
    "set_random_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
]
