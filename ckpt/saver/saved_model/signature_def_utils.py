"""Signatures: which tensors a model takes and gives, by name: `tf.saved_model.signature_def_utils`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckpt.core import defs, dtypes
from ckpt.saver.saved_model import signature_constants as names
from ckpt.saver.saved_model.tensor_infos import build_tensor_info
from ckpt.wire.plain import message, plain


def build_signature_def(
    inputs: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
    method_name: str | None = None,
) -> Any:
    """The SignatureDef message of these TensorInfos."""
    return message(
        defs.SignatureDef(_plain(inputs or {}), _plain(outputs or {}), method_name or "")
    )


def _plain(infos: Mapping[str, Any]) -> dict[str, defs.TensorInfo]:
    return {name: plain(info, defs.TensorInfo) for name, info in infos.items()}


def predict_signature_def(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
    """The signature of a model from any tensors to any tensors. Raises ValueError where there are none."""
    if not inputs:
        raise ValueError("Prediction `inputs` cannot be None or empty.")
    if not outputs:
        raise ValueError("Prediction `outputs` cannot be None or empty.")
    return build_signature_def(
        {name: build_tensor_info(tensor) for name, tensor in inputs.items()},
        {name: build_tensor_info(tensor) for name, tensor in outputs.items()},
        names.PREDICT_METHOD_NAME,
    )


def classification_signature_def(examples: Any, classes: Any, scores: Any) -> Any:
    """The signature of a model from examples (strings) to classes (strings), scores (floats), or both.

    Raises ValueError for tensors that are missing or of another dtype.
    """
    if examples is None:
        raise ValueError("Classification `examples` cannot be None.")
    if classes is None and scores is None:
        raise ValueError("Classification `classes` and `scores` cannot both be None.")
    _check(examples, dtypes.string, "Classification input tensors must be of type string")
    outputs = {}
    if classes is not None:
        _check(classes, dtypes.string, "Classification classes must be of type string Tensor")
        outputs[names.CLASSIFY_OUTPUT_CLASSES] = build_tensor_info(classes)
    if scores is not None:
        _check(scores, dtypes.float32, "Classification scores must be a float Tensor")
        outputs[names.CLASSIFY_OUTPUT_SCORES] = build_tensor_info(scores)
    inputs = {names.CLASSIFY_INPUTS: build_tensor_info(examples)}
    return build_signature_def(inputs, outputs, names.CLASSIFY_METHOD_NAME)


def regression_signature_def(examples: Any, predictions: Any) -> Any:
    """The signature of a model from examples (strings) to predictions (floats).

    Raises ValueError for tensors that are missing or of another dtype.
    """
    if examples is None:
        raise ValueError("Regression `examples` cannot be None.")
    if predictions is None:
        raise ValueError("Regression `predictions` cannot be None.")
    _check(examples, dtypes.string, "Regression input tensors must be of type string")
    _check(predictions, dtypes.float32, "Regression output tensors must be of type float")
    return build_signature_def(
        {names.REGRESS_INPUTS: build_tensor_info(examples)},
        {names.REGRESS_OUTPUTS: build_tensor_info(predictions)},
        names.REGRESS_METHOD_NAME,
    )


def _check(tensor: Any, dtype: dtypes.DType, text: str) -> None:
    if tensor.dtype != dtype:
        hint = "; hand over its `value()`" if tensor.dtype.base_dtype == dtype else ""
        raise ValueError(f"{text}. Found {tensor.name} of type {tensor.dtype.name}{hint}")


def is_valid_signature(signature_def: Any) -> bool:
    """True when servers can use it: a known method, with the inputs and outputs that it needs."""
    if signature_def is None:
        return False
    found = plain(signature_def, defs.SignatureDef)
    strings, floats = dtypes.string, dtypes.float32
    match found.method_name:
        case names.PREDICT_METHOD_NAME:
            return bool(found.inputs and found.outputs)
        case names.CLASSIFY_METHOD_NAME:
            scored = {names.CLASSIFY_OUTPUT_CLASSES: strings, names.CLASSIFY_OUTPUT_SCORES: floats}
            return _holds(found.inputs, {names.CLASSIFY_INPUTS: strings}) and any(
                _holds(found.outputs, {name: scored[name] for name in some})
                for some in ([*scored][:1], [*scored][1:], [*scored])
            )
        case names.REGRESS_METHOD_NAME:
            return _holds(found.inputs, {names.REGRESS_INPUTS: strings}) and _holds(
                found.outputs, {names.REGRESS_OUTPUTS: floats}
            )
    return False


def _holds(infos: Mapping[str, defs.TensorInfo], wanted: Mapping[str, dtypes.DType]) -> bool:
    return {name: info.dtype for name, info in infos.items()} == dict(wanted)
