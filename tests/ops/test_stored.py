"""Files in rows: checkpoints that a run writes and reads, and datasets of files that both implementations read."""

import tempfile
from pathlib import Path

import numpy as np

from ckpt.core import dtypes
from ckpt.core.shapes import TensorShape
from ckpt.formats.tfrecord import framed
from ckpt.graph.opdef import OPS
from ckpt.graph.scopes import control_dependencies
from ckpt.graph.specs import TensorSpec
from tests.conformance.ops import case, conformance, normal
from tests.ops.test_datasets import whole_of

FOLDER = tempfile.TemporaryDirectory(prefix="ckpt-rows-")
ROOT = Path(FOLDER.name)
LINES, RECORDS, TABLE = (str(ROOT / name) for name in ("lines.txt", "records", "table.csv"))
Path(LINES).write_bytes(b"one\r\ntwo\n\nfour")
Path(RECORDS).write_bytes(framed(b"one") + framed(b"") + framed(b"x" * 300))
Path(TABLE).write_bytes(b'name,count,share\na,1,0.5\n"b,c",,2\n')

WORDS = [TensorSpec([], dtypes.string)]
COLUMNS = [TensorSpec([], d) for d in (dtypes.string, dtypes.int32, dtypes.float32)]
FEW = [COLUMNS[0], COLUMNS[2]]
UNKNOWN = "a restored tensor has the shape that the file says"


def saved_and_restored(x):
    """A tensor written to a checkpoint, each implementation's own, and read from it in the same run."""
    prefix = str(ROOT / f"whole-{x.dtype.name}")
    with control_dependencies([OPS["SaveV2"](prefix, ["x"], [""], [x])]):
        return OPS["RestoreV2"](prefix, ["x"], [""], dtypes=[x.dtype.base_dtype])


def part_restored(x):
    """Two rows of a tensor that was written as a part of a larger one."""
    prefix = str(ROOT / "part")
    with control_dependencies([OPS["SaveV2"](prefix, ["x"], ["4 3 1,2:0,3"], [x])]):
        return OPS["RestoreV2"](prefix, ["x"], ["4 3 2,1:0,3"], dtypes=[x.dtype.base_dtype])


def merged_and_restored(x, y):
    """Two checkpoints made one."""
    parts = [str(ROOT / f"part-{name}") for name in "xy"]
    prefix = str(ROOT / "merged")
    saved = [OPS["SaveV2"](parts[0], ["x"], [""], [x]), OPS["SaveV2"](parts[1], ["y"], [""], [y])]
    with control_dependencies(saved):
        merged = OPS["MergeV2Checkpoints"](parts, prefix, delete_old_dirs=False)
    with control_dependencies([merged]):
        return OPS["RestoreV2"](prefix, ["x", "y"], ["", ""], dtypes=[x.dtype, y.dtype])


def of_files(name, spec, *inputs, **attrs):
    """All elements of a dataset of files."""
    return lambda: whole_of(OPS[name](*inputs, **attrs), spec)


def typed(spec):
    return {
        "output_types": [s.dtype for s in spec],
        "output_shapes": [TensorShape([]) for _ in spec],
    }


TestCheckpoints = conformance([
    case(saved_and_restored, normal(2, 3), like=lambda x: x, grad=0, looser=UNKNOWN),
    case(saved_and_restored, np.array([[1, -2]], np.int64), like=lambda x: x, grad=0, looser=UNKNOWN),
    case(saved_and_restored, np.array([b"a", b"bc", b""], object), like=lambda x: x, grad=0, looser=UNKNOWN),
    case(part_restored, normal(2, 3), like=lambda x: x[1:], grad=0, looser=UNKNOWN),
    case(merged_and_restored, normal(2, 3), np.int32(7), like=lambda x, y: [x, y], grad=0, looser=UNKNOWN),
])  # fmt: skip

CSV = (TABLE, "", 1 << 18, True, ",", True, "")
TestFiles = conformance([
    case(of_files("TextLineDataset", WORDS, [LINES], "", 0), title="lines",
         expect=np.array([b"one", b"two", b"", b"four"], object), grad=0),
    case(of_files("TFRecordDataset", WORDS, [RECORDS], "", 0), title="records",
         expect=np.array([b"one", b"", b"x" * 300], object), grad=0),
    case(of_files("FixedLengthRecordDataset", WORDS, [LINES], 0, 7, 0, 0), title="fixed",
         expect=np.array([b"one\r\ntw", b"o\n\nfour"], object), grad=0),
    case(of_files("FixedLengthRecordDatasetV2", WORDS, [LINES], 1, 4, 1, 0, ""), title="fixed, second version",
         expect=np.array([b"ne\r\n", b"two\n", b"\nfou"], object), grad=0),
    case(of_files("CSVDataset", COLUMNS, *CSV, np.zeros(0, np.int64), [["-"], np.int32([9]), np.float32([0])],
                  **typed(COLUMNS)), title="csv",
         expect=[np.array([b"a", b"b,c"], object), np.int32([1, 9]), np.float32([0.5, 2])], grad=0),
    case(of_files("CSVDatasetV2", FEW, *CSV, np.zeros(0, np.int64), [["-"], np.float32([0])], np.int64([1]),
                  **typed(FEW)), title="csv, second version",
         expect=[np.array([b"a", b"b,c"], object), np.float32([0.5, 2])], grad=0),
])  # fmt: skip
