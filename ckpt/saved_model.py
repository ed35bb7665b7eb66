"""Facade: the names of `tf.saved_model`. Re-exports only."""

from ckpt.saver.saved_model import (
    builder,
    constants,
    loader,
    main_op,
    signature_constants,
    signature_def_utils,
    tag_constants,
)
from ckpt.saver.saved_model import tensor_infos as utils
from ckpt.saver.saved_model.builder import SavedModelBuilder as Builder
from ckpt.saver.saved_model.builder import simple_save
from ckpt.saver.saved_model.loader import load, maybe_saved_model_directory
from ckpt.saver.saved_model.loader import maybe_saved_model_directory as contains_saved_model
from ckpt.saver.saved_model.main_op import main_op_with_restore
from ckpt.saver.saved_model.signature_def_utils import (
    build_signature_def,
    classification_signature_def,
    is_valid_signature,
    predict_signature_def,
    regression_signature_def,
)
from ckpt.saver.saved_model.tensor_infos import build_tensor_info, get_tensor_from_tensor_info

__all__ = [
    "Builder",
    "build_signature_def",
    "build_tensor_info",
    "builder",
    "classification_signature_def",
    "constants",
    "contains_saved_model",
    "get_tensor_from_tensor_info",
    "is_valid_signature",
    "load",
    "loader",
    "main_op",
    "main_op_with_restore",
    "maybe_saved_model_directory",
    "predict_signature_def",
    "regression_signature_def",
    "signature_constants",
    "signature_def_utils",
    "simple_save",
    "tag_constants",
    "utils",
]
