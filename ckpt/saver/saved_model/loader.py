"""Reading a SavedModel into a session: `tf.saved_model.loader`. Also those that TensorFlow wrote."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterable
from typing import Any

from ckpt.core import defs, gfile, storage
from ckpt.core.dtypes import string
from ckpt.core.errors import (
    DataLossError,
    FailedPreconditionError,
    MissingFileError,
    PermissionDeniedError,
    UnparsableFileError,
)
from ckpt.core.limits import MAX_META_BYTES
from ckpt.core.scope_names import inside
from ckpt.core.system import StrPath
from ckpt.graph.file_use import HOW_TO_ALLOW
from ckpt.graph.graph import Graph
from ckpt.saver import metagraph
from ckpt.saver.saved_model import constants
from ckpt.wire import saved_model_file
from ckpt.wire.plain import message

_FILES = (
    constants.SAVED_MODEL_FILENAME_JSON,
    constants.SAVED_MODEL_FILENAME,
    constants.SAVED_MODEL_FILENAME_PB,
)


def maybe_saved_model_directory(export_dir: StrPath) -> bool:
    """True when the directory holds a SavedModel, ours or TensorFlow's."""
    return any(storage.exists(gfile.join(export_dir, name)) for name in _FILES)


def load(
    sess: Any,
    tags: Iterable[str],
    export_dir: StrPath,
    import_scope: str | None = None,
    **saver_kwargs: Any,
) -> Any:
    """Add the MetaGraph that bears exactly these tags to the session's graph, restore its variables, run its main
    operation; returns its MetaGraphDef message.

    `import_scope` prefixes every name (the message keeps the old ones); `saver_kwargs` go to `import_meta_graph`: without
    `allow_file_operations=True` the model reads no files but its variables and assets, and writes none. Raises
    MissingFileError (an OSError) when there is no SavedModel, UnparsableFileError (an OSError) when it is damaged,
    RuntimeError when no MetaGraph has these tags or one has several main operations, KeyError when its graph lacks the main
    operation, PermissionDeniedError when that would use other files, or an asset lies elsewhere, FailedPreconditionError
    when an asset is no regular file.
    """
    with sess.graph.as_default():
        meta_graph = _with_tags(read_saved_model(export_dir), tags)
        init_op = _init_op(meta_graph)
        assets = {} if init_op is None else _assets(meta_graph, export_dir)
        if not saver_kwargs.get("allow_file_operations"):
            _check_inside(export_dir, assets.values())
        options = {"source": os.fspath(export_dir), **saver_kwargs}
        saver = metagraph.import_meta_graph(meta_graph, import_scope=import_scope, **options)
        if isinstance(saver, tuple):  # (Saver, elements) where `return_elements` was given
            saver = saver[0]
        if saver is not None:
            saver.restore(
                sess,
                gfile.join(export_dir, constants.VARIABLES_DIRECTORY, constants.VARIABLES_FILENAME),
            )
        if init_op is not None:
            feeds = {_element(sess.graph, name, import_scope): assets[name] for name in assets}
            sess.run(_element(sess.graph, init_op, import_scope), feeds)
    return message(meta_graph)


def read_saved_model(export_dir: StrPath) -> list[defs.MetaGraphDef]:
    """The MetaGraphs of a SavedModel. Raises MissingFileError, UnparsableFileError."""
    for name in _FILES:
        path = gfile.join(export_dir, name)
        if storage.exists(path):
            data = storage.read_file(path, limit=MAX_META_BYTES)
            try:
                return saved_model_file.load(data, path)
            except DataLossError as error:
                raise UnparsableFileError(None, None, f"Cannot parse file {error}") from error
    raise MissingFileError(
        None,
        None,
        f"SavedModel file does not exist at: {gfile.join(export_dir)}/{{{'|'.join(_FILES)}}}",
    )


def _with_tags(meta_graphs: list[defs.MetaGraphDef], tags: Iterable[str]) -> defs.MetaGraphDef:
    wanted = set(tags)
    for meta_graph in meta_graphs:
        if set(meta_graph.meta_info_def.tags) == wanted:
            return meta_graph
    available = [sorted(meta_graph.meta_info_def.tags) for meta_graph in meta_graphs]
    raise RuntimeError(
        f"MetaGraphDef associated with tags {sorted(wanted)} could not be found in SavedModel, with available tags "
        f"'{available}'."
    )


def _init_op(meta_graph: defs.MetaGraphDef) -> str | None:
    """The name of the operation to run at last. Raises RuntimeError when there are several."""
    for key in (constants.MAIN_OP_KEY, constants.LEGACY_INIT_OP_KEY):
        collection = meta_graph.collection_def.get(key)
        if collection is not None:
            if len(collection.value) != 1:
                raise RuntimeError(
                    f"Expected exactly one SavedModel init op in the collection {key}. "
                    f"Found {len(collection.value)}: {list(collection.value)}."
                )
            name = str(collection.value[0])
            if name not in {node.name for node in meta_graph.graph_def.node}:
                raise KeyError(
                    f"The name {name!r} refers to an Operation which is not in the SavedModel's graph."
                )
            return name
    return None


def _assets(meta_graph: defs.MetaGraphDef, export_dir: StrPath) -> dict[str, str]:
    """Where the asset lies now that each tensor names. Raises UnparsableFileError for what names none."""
    collection = meta_graph.collection_def.get(constants.ASSETS_KEY)
    if collection is None:
        return {}
    from google.protobuf.message import DecodeError  # loaded only when messages are used

    from ckpt.wire import messages

    texts = {
        f"{node.name}:0"
        for node in meta_graph.graph_def.node
        if string in (node.attr.get("dtype"), node.attr.get("T"))
    }
    found = {}
    try:
        if collection.kind != "any_list":
            raise ValueError(f"it is a {collection.kind}")
        for _, data in collection.value:
            asset = messages.AssetFileDef.FromString(data)
            if asset.tensor_info.name not in texts:
                raise ValueError(f"{asset.tensor_info.name!r} is no string of the graph")
            if not asset.filename or "\0" in asset.filename:
                raise ValueError(f"{asset.filename!r} is no name of a file")
            path = gfile.join(export_dir, constants.ASSETS_DIRECTORY, asset.filename)
            found[asset.tensor_info.name] = path
    except (ValueError, DecodeError) as error:
        raise UnparsableFileError(
            None,
            None,
            f"{os.fspath(export_dir)}: the collection {constants.ASSETS_KEY} names no assets: {error}",
        ) from error
    return found


def _check_inside(export_dir: StrPath, paths: Collection[str]) -> None:
    """Raise PermissionDeniedError listing the assets that lie outside of the SavedModel, or are links that lead out of it.

    FailedPreconditionError for one that is no regular file: a reader might wait for ever.
    """
    home = _real(os.fspath(export_dir))
    outside = [path for path in paths if not _real(path).startswith(f"{home.rstrip('/')}/")]
    if outside:
        raise PermissionDeniedError(
            None,
            None,
            f"{os.fspath(export_dir)}: {len(outside)} assets lie outside of it: {', '.join(map(repr, outside[:5]))}. "
            f"{HOW_TO_ALLOW}.",
        )
    for path in paths:
        if storage.exists(path) and not storage.is_file(path):
            raise FailedPreconditionError(
                None, None, f"{path}: an asset should be a regular file, and this is none"
            )


def _real(path: str) -> str:
    """Where a path leads, links followed; in a store, which has none, where it leads by its parts."""
    if not storage.is_remote(path):
        return os.path.realpath(path)
    scheme, _, rest = path.partition("://")
    return f"{scheme}://{posixpath.normpath(rest)}"


def _element(graph: Graph, name: str, import_scope: str | None) -> Any:
    return graph.as_graph_element(inside(import_scope, name))
