"""`ckpt.random`: random values, by TensorFlow's names. Defines nothing itself."""
# fmt: off
# isort: skip_file

from ckpt.graph.scopes import set_random_seed
from ckpt.ops.candidates import (
    learned_unigram_candidate_sampler, log_uniform_candidate_sampler, uniform_candidate_sampler,
)
from ckpt.ops.distributions import (
    categorical, random_gamma as gamma, multinomial, random_poisson as poisson, random_crop,
)
from ckpt.ops.joining import split
from ckpt.ops.random import (
    get_seed, random_normal as normal, random_shuffle as shuffle, truncated_normal,
    random_uniform as uniform,
)
from ckpt.ops.stateless import (
    stateless_categorical, stateless_multinomial, stateless_normal, stateless_truncated_normal,
    stateless_uniform,
)
from ckpt.ops.stateless_distributions import stateless_binomial, stateless_gamma, stateless_poisson
from ckpt.ops.unigram import all_candidate_sampler, fixed_unigram_candidate_sampler

__all__ = [
    "all_candidate_sampler", "categorical", "fixed_unigram_candidate_sampler", "gamma",
    "get_seed", "learned_unigram_candidate_sampler", "log_uniform_candidate_sampler",
    "multinomial", "normal", "poisson", "random_crop", "set_random_seed", "shuffle", "split",
    "stateless_binomial", "stateless_categorical", "stateless_gamma", "stateless_multinomial",
    "stateless_normal", "stateless_poisson", "stateless_truncated_normal", "stateless_uniform",
    "truncated_normal", "uniform", "uniform_candidate_sampler",
]
