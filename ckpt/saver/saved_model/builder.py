"""Writing a SavedModel: `tf.saved_model.builder`. The layout is in docs/formats/saved-model.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ckpt.core import defs, gfile, storage
from ckpt.core.system import StrPath
from ckpt.core.texts import bytes_of, text_of
from ckpt.graph import stack
from ckpt.graph.graph import Graph
from ckpt.graph.keys import GraphKeys
from ckpt.graph.operation import Operation, Tensor
from ckpt.graph.static import constant_value
from ckpt.saver import metagraph
from ckpt.saver.saved_model import constants, tag_constants
from ckpt.saver.saved_model.signature_constants import DEFAULT_SERVING_SIGNATURE_DEF_KEY
from ckpt.saver.saved_model.signature_def_utils import predict_signature_def
from ckpt.saver.saver import Saver
from ckpt.saver.var_list import saveable_objects
from ckpt.wire import saved_model_file
from ckpt.wire.plain import plain

_ASSET_TYPE = "type.googleapis.com/tensorflow.AssetFileDef"
_RESERVED = {"__saved_model_init_op": "initialization", "__saved_model_train_op": "the train op"}


class SavedModelBuilder:
    """Collects MetaGraphs, each under its tags, and writes them with one set of variables and assets.

    Raises AssertionError when `export_dir` exists and is not empty.
    """

    def __init__(self, export_dir: StrPath) -> None:
        self._directory = gfile.join(export_dir)
        if storage.exists(self._directory) and storage.names_in(self._directory):
            raise AssertionError(
                f"Export directory {self._directory} already exists, and isn't empty. Please choose a different export "
                "directory, or delete all the contents of the specified directory."
            )
        storage.make_directory(self._directory, parents=True)
        self._meta_graphs: list[defs.MetaGraphDef] = []
        self._has_variables = False

    def add_meta_graph_and_variables(
        self,
        sess: Any,
        tags: Iterable[str],
        signature_def_map: Mapping[str, Any] | None = None,
        assets_collection: Sequence[Any] | None = None,
        legacy_init_op: Any = None,
        clear_devices: bool = False,
        main_op: Any = None,
        strip_default_attrs: bool = False,
        saver: Saver | None = None,
    ) -> None:
        """Add the default graph under `tags`, and write the variables of the session: once, before any other graph.

        `signature_def_map` holds SignatureDefs; the files that the string constants in `assets_collection` name are
        copied. Loading runs `main_op` (or `legacy_init_op`) at last. Raises AssertionError for a second call and for
        signatures that name no tensor or no dtype, KeyError for reserved names of signatures, TypeError for tags, assets and
        operations that are none, NotFoundError for the file of an asset that is not there, ValueError for a second main
        operation.
        """
        if self._has_variables:
            raise AssertionError(
                "Graph state including variables and assets has already been saved. Please invoke `add_meta_graph()` "
                "instead."
            )
        signatures = _signatures(signature_def_map or {})
        assets = _assets(assets_collection or [])
        self._add_init_op(legacy_init_op, main_op)
        saver = _saver(saver)
        variables = gfile.join(self._directory, constants.VARIABLES_DIRECTORY)
        storage.make_directory(variables, parents=True)
        prefix = gfile.join(variables, constants.VARIABLES_FILENAME)
        saver.save(sess, prefix, write_meta_graph=False, write_state=False)
        self._copy(assets)
        self._has_variables = True
        self._add(tags, signatures, assets, saver, clear_devices, strip_default_attrs)

    def add_meta_graph(
        self,
        tags: Iterable[str],
        signature_def_map: Mapping[str, Any] | None = None,
        assets_collection: Sequence[Any] | None = None,
        legacy_init_op: Any = None,
        clear_devices: bool = False,
        main_op: Any = None,
        strip_default_attrs: bool = False,
        saver: Saver | None = None,
    ) -> None:
        """Add the default graph under other tags; it shares the variables written before.

        The arguments and errors are those of `add_meta_graph_and_variables`, which must have been called.
        """
        if not self._has_variables:
            raise AssertionError(
                "Graph state including variables and assets has not been saved yet. Please invoke "
                "`add_meta_graph_and_variables()` first."
            )
        signatures = _signatures(signature_def_map or {})
        assets = _assets(assets_collection or [])
        self._add_init_op(legacy_init_op, main_op)
        self._copy(assets)
        self._add(tags, signatures, assets, _saver(saver), clear_devices, strip_default_attrs)

    def save(self, as_text: bool = False) -> str:
        """Write the MetaGraphs, atomically; returns the path of the file: msgpack, or JSON `as_text`."""
        if as_text:
            name = constants.SAVED_MODEL_FILENAME_JSON
            data = bytes_of(saved_model_file.to_json(self._meta_graphs))
        else:
            name = constants.SAVED_MODEL_FILENAME
            data = saved_model_file.pack(self._meta_graphs)
        storage.make_directory(self._directory, parents=True)
        path: str = gfile.join(self._directory, name)
        storage.write_file(path, data)
        return path

    def _add(
        self,
        tags: Iterable[str],
        signatures: Mapping[str, defs.SignatureDef],
        assets: Mapping[str, tuple[str, str]],
        saver: Saver,
        clear_devices: bool,
        strip_default_attrs: bool,
    ) -> None:
        tags = tuple(tags)
        wrong = [tag for tag in tags if not isinstance(tag, str)]
        if wrong:
            raise TypeError(f"tags are texts, not {wrong}")
        found = metagraph.export(
            stack.get_default_graph(),
            saver.saver_def,
            clear_devices=clear_devices,
            strip_default_attrs=strip_default_attrs,
        )
        collections = dict(found.collection_def)
        if assets:
            collections[constants.ASSETS_KEY] = _asset_collection(assets)
        self._meta_graphs.append(
            replace(
                found,
                meta_info_def=replace(found.meta_info_def, tags=tags),
                signature_def=dict(signatures),
                collection_def=collections,
            )
        )

    def _add_init_op(self, legacy_init_op: Any, main_op: Any) -> None:
        given = main_op if main_op is not None else legacy_init_op
        if given is None:
            return
        key = constants.MAIN_OP_KEY if main_op is not None else constants.LEGACY_INIT_OP_KEY
        if not isinstance(given, Operation):
            name = "main_op" if main_op is not None else "legacy_init_op"
            raise TypeError(f"{name} needs to be an Operation: {given!r}")
        graph: Graph = stack.get_default_graph()
        for taken in (constants.MAIN_OP_KEY, constants.LEGACY_INIT_OP_KEY):
            if graph.get_collection(taken):
                raise ValueError(
                    f"Graph already contains one or more main ops under the collection {taken}."
                )
        graph.add_to_collection(key, given)

    def _copy(self, assets: Mapping[str, tuple[str, str]]) -> None:
        if not assets:
            return
        directory = gfile.join(self._directory, constants.ASSETS_DIRECTORY)
        storage.make_directory(directory, parents=True)
        for source, name in dict.fromkeys(assets.values()):
            target = gfile.join(directory, name)
            if not storage.exists(target):
                gfile.copy(source, target)


def simple_save(
    session: Any,
    export_dir: StrPath,
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, Tensor],
    legacy_init_op: Any = None,
) -> None:
    """Write a SavedModel for serving: one MetaGraph with the default signature from `inputs` to `outputs`."""
    signature = predict_signature_def(inputs, outputs)
    builder = SavedModelBuilder(export_dir)
    builder.add_meta_graph_and_variables(
        session,
        [tag_constants.SERVING],
        {DEFAULT_SERVING_SIGNATURE_DEF_KEY: signature},
        assets_collection=stack.get_default_graph().get_collection(GraphKeys.ASSET_FILEPATHS),
        legacy_init_op=legacy_init_op,
        clear_devices=True,
    )
    builder.save()


def _saver(saver: Saver | None) -> Saver:
    return Saver(saveable_objects(), allow_empty=True) if saver is None else saver


def _signatures(given: Mapping[str, Any]) -> dict[str, defs.SignatureDef]:
    """The signatures as plain data, checked."""
    found: dict[str, defs.SignatureDef] = {}
    for key, signature in given.items():
        if not isinstance(key, str):
            raise TypeError(f"the keys of signature_def_map are texts, not {key!r}")
        if key in _RESERVED:
            raise KeyError(
                f'SignatureDef map key "{key}" is reserved for {_RESERVED[key]}. Please use a different key.'
            )
        found[key] = plain(signature, defs.SignatureDef)
        for name, info in [*found[key].inputs.items(), *found[key].outputs.items()]:
            if not info.name and not info.coo_sparse:
                what = "name"
            elif info.dtype is None:
                what = "dtype"
            else:
                continue
            raise AssertionError(
                f"Invalid `tensor_info` {name!r} of the signature {key!r}: {info}. All TensorInfo protos used in the "
                f"SignatureDefs must have the {what} field set."
            )
    return found


def _assets(tensors: Iterable[Any]) -> dict[str, tuple[str, str]]:
    """For the name of each tensor: the file that it names, and the file name that the copy gets. No two files share one."""
    found: dict[str, tuple[str, str]] = {}
    taken: dict[str, str] = {}  # file name -> source
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"Asset path tensor {tensor} must be a Tensor.")
        if tensor.dtype.base_dtype.name != "string":
            raise TypeError(
                f"Asset path tensor {tensor} must be of dtype string. Has type {tensor.dtype} instead."
            )
        value = constant_value(tensor)
        if value is None:
            raise TypeError(f"Asset path tensor {tensor} must be a constant, not {tensor.op.type}.")
        source = value.item()
        if not source:
            raise ValueError(f"Invalid asset filepath tensor {tensor}: it is no constant path.")
        path = text_of(source)
        name = _free_name(path, taken)
        taken[name] = path
        found[tensor.name] = (path, name)
    return found


def _free_name(path: str, taken: Mapping[str, str]) -> str:
    base = path.rpartition("/")[2]
    name, number = base, 0
    while taken.get(name, path) != path:
        number += 1
        name = f"{base}_{number}"
    return name


def _asset_collection(assets: Mapping[str, tuple[str, str]]) -> defs.CollectionDef:
    from ckpt.wire import messages  # protobuf is loaded only when messages are used

    values = []
    for tensor, (_, name) in assets.items():
        asset = messages.AssetFileDef(filename=name)
        asset.tensor_info.name = tensor
        values.append((_ASSET_TYPE, asset.SerializeToString(deterministic=True)))
    return defs.CollectionDef("any_list", tuple(values))
