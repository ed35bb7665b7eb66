"""Reading the MetaGraph of a file as plain data, before any graph is made of it. Loads no graph, and no operations."""

from __future__ import annotations

import os

from ckpt.core import defs, storage
from ckpt.core.errors import (
    DataLossError,
    InvalidArgumentError,
    MissingFileError,
    NotFoundError,
    UnparsableFileError,
)
from ckpt.core.limits import MAX_META_BYTES
from ckpt.formats import detect
from ckpt.formats.base import metagraph_of
from ckpt.wire import metagraph_file


def read_meta_graph_file(filename: str) -> defs.MetaGraphDef:
    """Read a `.meta` file: ours (msgpack or JSON), TensorFlow's, or the MetaGraph inside a checkpoint `.h5`.

    Raises MissingFileError (a NotFoundError and an OSError), UnparsableFileError (a DataLossError and an OSError)
    naming the file.
    """
    path = os.fspath(filename)
    try:
        return metagraph_file.load(_meta_bytes(path), path)
    except NotFoundError as error:
        raise MissingFileError(None, None, f"File {path} does not exist: {error}") from error
    except DataLossError as error:
        raise UnparsableFileError(None, None, f"Cannot parse file {error}") from error


def saved_meta_graph(prefix: str) -> defs.MetaGraphDef | None:
    """The MetaGraph that was saved with the checkpoint of this prefix; None where there is none.

    Raises NotFoundError when there is neither, DataLossError for a damaged file.
    """
    from ckpt.saver.meant import meta_graph_path  # reading one file needs it not

    found = meta_graph_path(prefix)
    if found.endswith(".meta"):
        return read_meta_graph_file(found)
    with detect.open_reader(found) as reader:
        data = metagraph_of(reader)
    return None if data is None else metagraph_file.load(data, found)


def _meta_bytes(path: str) -> bytes:
    if path.endswith((".h5", ".hdf5", ".index")):
        from ckpt.formats import hdf5  # only this case opens a checkpoint

        with hdf5.open_reader(path) as reader:
            data = reader.metagraph()
        if data is None:
            raise InvalidArgumentError(
                None, None, f"{path}: holds no MetaGraph (it was saved with write_meta_graph=False)"
            )
        return data
    return storage.read_file(path, limit=MAX_META_BYTES)
