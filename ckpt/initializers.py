"""`tf.initializers`: the initializers under their short names. Re-exports only."""

from ckpt.model.initializers import Constant as constant
from ckpt.model.initializers import GlorotNormal as glorot_normal
from ckpt.model.initializers import GlorotUniform as glorot_uniform
from ckpt.model.initializers import HeNormal as he_normal
from ckpt.model.initializers import HeUniform as he_uniform
from ckpt.model.initializers import Identity as identity
from ckpt.model.initializers import Initializer
from ckpt.model.initializers import LecunNormal as lecun_normal
from ckpt.model.initializers import LecunUniform as lecun_uniform
from ckpt.model.initializers import Ones as ones
from ckpt.model.initializers import Orthogonal as orthogonal
from ckpt.model.initializers import RandomNormal as random_normal
from ckpt.model.initializers import RandomUniform as random_uniform
from ckpt.model.initializers import TruncatedNormal as truncated_normal
from ckpt.model.initializers import UniformUnitScaling as uniform_unit_scaling
from ckpt.model.initializers import VarianceScaling as variance_scaling
from ckpt.model.initializers import Zeros as zeros
from ckpt.model.lookup import tables_initializer
from ckpt.model.variable_collections import global_variables_initializer as global_variables
from ckpt.model.variable_collections import local_variables_initializer as local_variables
from ckpt.model.variable_collections import variables_initializer as variables

__all__ = [
    "Initializer",
    "constant",
    "global_variables",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "local_variables",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "tables_initializer",
    "truncated_normal",
    "uniform_unit_scaling",
    "variables",
    "variance_scaling",
    "zeros",
]
