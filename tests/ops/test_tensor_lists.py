"""Lists of tensors: each row makes a list, changes it, and looks at what is in it."""

import numpy as np

from ckpt.core import dtypes
from ckpt.core.errors import InvalidArgumentError
from ckpt.graph.opdef import OPS
from tests.conformance.ops import case, conformance, normal

X = normal(4, 2)
ORDER = np.array([2, 0], np.int32)


def of(x):
    return OPS["TensorListFromTensor"](x, [2], element_dtype=x.dtype)


def stacked(x, handle, **attrs):
    return OPS["TensorListStack"](handle, np.array([2], np.int32), element_dtype=x.dtype, **attrs)


def reserved(x, count):
    return OPS["TensorListReserve"](np.array([2], np.int32), count, element_dtype=x.dtype)


def scattered(name, x, *more):
    return stacked(x, OPS[name](x, ORDER, [2], *more, element_dtype=x.dtype))


def pushed(x):
    empty = OPS["EmptyTensorList"]([2], 10, element_dtype=x.dtype)
    full = OPS["TensorListPushBack"](OPS["TensorListPushBack"](empty, x[0]), x[1])
    return [
        *OPS["TensorListPopBack"](full, [2], element_dtype=x.dtype)[1:],
        OPS["TensorListLength"](full),
    ]


LATER = "TensorFlow keeps the shape of the items beside the handle, ours says it when it runs"
SHAPES = {"looser": LATER}

TestLists = conformance([
    case(pushed, X, grad=1, **SHAPES),
    case(lambda x: stacked(x, of(x)), X, like=lambda x: x, grad=1, title="TensorListStack"),
    case(lambda x: stacked(x, of(x), num_elements=3), X, raises=InvalidArgumentError, match="4", title="TensorListStack"),
    case(lambda x: OPS["TensorListGetItem"](of(x), 2, [2], element_dtype=x.dtype), X, like=lambda x: x[2], grad=1,
         title="TensorListGetItem"),
    case(lambda x: OPS["TensorListGetItem"](of(x), 7, [2], element_dtype=x.dtype), X, raises=InvalidArgumentError,
         match="element 7", title="TensorListGetItem"),
    case(lambda x: stacked(x, OPS["TensorListSetItem"](of(x), 1, x[3])), X, like=lambda x: x[[0, 3, 2, 3]], grad=1,
         title="TensorListSetItem"),
    case(lambda x: stacked(x, OPS["TensorListSetItem"](reserved(x, 2), 1, x[3])), X, like=lambda x: np.stack([x[0] * 0, x[3]]),
         grad=1, title="TensorListReserve"),
    case(lambda x: OPS["TensorListGather"](of(x), ORDER, [2], element_dtype=x.dtype), X, like=lambda x: x[ORDER], grad=1,
         title="TensorListGather"),
    case(lambda x: scattered("TensorListScatter", x), X[:2], grad=0, title="TensorListScatter"),
    case(lambda x: scattered("TensorListScatterV2", x, 5), X[:2], grad=0, title="TensorListScatterV2"),
    case(lambda x: stacked(x, OPS["TensorListScatterIntoExistingList"](of(x), x[:2], ORDER)), X, grad=0,
         title="TensorListScatterIntoExistingList"),
    case(lambda x: stacked(x, OPS["TensorListResize"](of(x), 3)), X, like=lambda x: x[:3], grad=0, title="TensorListResize"),
    case(lambda x: OPS["TensorListElementShape"](of(x), shape_type=dtypes.int32), X, expect=np.array([2], np.int32), grad=0,
         title="TensorListElementShape", **SHAPES),
    case(lambda x: stacked(x, OPS["TensorListConcatLists"](of(x), of(x[:1]), element_dtype=x.dtype)), X, grad=0,
         like=lambda x: np.concatenate([x, x[:1]]), title="TensorListConcatLists"),
    case(lambda x: OPS["TensorListConcatV2"](OPS["TensorListSplit"](x, [-1, 2], np.array([1, 3]), element_dtype=x.dtype),
         [-1, 2], np.zeros(0, np.int64), element_dtype=x.dtype), X, expect=[X, np.array([1, 3])], grad=0, title="TensorListSplit",
         **SHAPES),
])  # fmt: skip
