"""Datasets that call functions: of each element, of pairs, of what Python generates. A function is a planned body."""

from __future__ import annotations

import threading

from ckpt.core.errors import FailedPreconditionError, InvalidArgumentError, OutOfRangeError
from ckpt.core.threads import cpu_count
from ckpt.graph.opdef import op
from ckpt.graph.signature import Attr
from ckpt.ops import dataset_sizes
from ckpt.ops.dataset_threads import MadeAhead, Threaded, Together, waiting_by
from ckpt.ops.datasets import CALLED, TYPES, Dataset, Position, dataset_op
from ckpt.ops.datasets_order import derived
from ckpt.ops.flow import is_true

FUNCTION = Attr("func")


def called(function, arguments):
    """The results of a function; one that runs out of range ends the dataset."""
    try:
        return function(*arguments)
    except OutOfRangeError:
        raise StopIteration from None


class _Calling(Position):
    """A position that calls the dataset's `f` of each element and the dataset's `others`."""

    def of(self, element):
        """What the function makes of an element."""
        return called(self.dataset.f, (*element, *self.dataset.others))

    def save(self):
        check_saveable(self.dataset.f)
        return super().save()


def check_saveable(*functions):
    """Raise FailedPreconditionError where a function holds a state that a saved position would not bring back."""
    for function in functions:
        for found in function.stateful_types:
            raise FailedPreconditionError(
                None, None, f"{found} is stateful: the position of a dataset whose function {function.name} runs it cannot "
                "be saved"
            )  # fmt: skip


def _as_said(dataset, sizes):
    """As many as the input has where the graph says so: a function that runs out of range ends the dataset."""
    return sizes[0] if dataset.keeps_count else dataset_sizes.UNKNOWN


class _Map(_Calling):
    cardinality = staticmethod(_as_said)

    def __next__(self):
        dataset = self.dataset
        try:
            return tuple(dataset.f(*next(self.sources[0]), *dataset.others))
        except OutOfRangeError:
            raise StopIteration from None


class _ParallelMap(Threaded):
    """Up to `calls` calls of the dataset's function at a time."""

    cardinality = staticmethod(_as_said)

    def __init__(self, dataset, source) -> None:
        f, others = dataset.f, dataset.others
        super().__init__(dataset, Together(source, lambda e: tuple(called(f, (*e, *others))), dataset.calls))  # fmt: skip

    def save(self):
        check_saveable(self.dataset.f)
        return super().save()


def mapped(source, others, f, types, shapes, keeps_count):
    """The dataset of what `f` makes of the elements of `source` and the arguments `others`."""
    return derived(_Map, source, types=types, shapes=shapes, f=f, others=tuple(others), keeps_count=keeps_count)  # fmt: skip


def mapped_together(source, others, f, calls, types=None, shapes=None, keeps_count=True):
    """The dataset that `mapped` gives, made by up to `calls` calls at a time (-1: as many as can compute at a time).

    Raises InvalidArgumentError for other numbers below 1.
    """
    return derived(
        _ParallelMap, source, types=types, shapes=shapes, f=f, others=tuple(others), calls=_number_of(calls),
        keeps_count=keeps_count,
    )  # fmt: skip


def _number_of(calls):
    number = int(calls)
    if number == -1:
        return cpu_count()
    if number < 1:
        raise InvalidArgumentError(None, None, "num_parallel_calls must be greater than zero.")
    return number


@dataset_op("MapDataset", "input_dataset: variant, other_arguments: Targuments...", f=FUNCTION,
            use_inter_op_parallelism=True, preserve_cardinality=False, force_synchronous=False, **CALLED)  # fmt: skip
def map_dataset(input_dataset, *others, f, output_types, output_shapes, preserve_cardinality):
    """The dataset of what a function makes of each element."""
    return mapped(input_dataset, others, f, output_types, output_shapes, preserve_cardinality)


@dataset_op("ParallelMapDataset",
            "input_dataset: variant, other_arguments: Targuments..., num_parallel_calls: int32", f=FUNCTION,
            use_inter_op_parallelism=True, sloppy=False, preserve_cardinality=False, **CALLED)  # fmt: skip
def parallel_map_dataset(
    input_dataset, *inputs, f, output_types, output_shapes, preserve_cardinality
):
    """The dataset of what a function makes of each element, in their order."""
    return _parallel(input_dataset, inputs, f, output_types, output_shapes, preserve_cardinality)


@dataset_op("ParallelMapDatasetV2",
            "input_dataset: variant, other_arguments: Targuments..., num_parallel_calls: int64", f=FUNCTION,
            use_inter_op_parallelism=True, deterministic="default", preserve_cardinality=False,
            use_unbounded_threadpool=False, **CALLED)  # fmt: skip
def parallel_map_dataset_v2(
    input_dataset, *inputs, f, output_types, output_shapes, preserve_cardinality
):
    """The dataset of what a function makes of each element, in their order."""
    return _parallel(input_dataset, inputs, f, output_types, output_shapes, preserve_cardinality)


def _parallel(source, inputs, f, types, shapes, keeps_count):
    *others, calls = inputs
    return mapped_together(source, others, f, calls, types, shapes, keeps_count)


class _Filter(_Calling):
    def __next__(self):
        source = self.sources[0]
        while True:
            element = next(source)
            if is_true(self.of(element)[0]):
                return element


@dataset_op(
    "FilterDataset",
    "input_dataset: variant, other_arguments: Targuments...",
    predicate=FUNCTION,
    **CALLED,
)
def filter_dataset(input_dataset, *others, predicate):
    """The dataset of the elements for which a function says true."""
    return derived(_Filter, input_dataset, f=predicate, others=others)


class _TakeWhile(_Calling):
    FIELDS = ("is_over",)
    is_over = False

    def __next__(self):
        if not self.is_over:
            element = next(self.sources[0])
            if is_true(self.of(element)[0]):
                return element
            self.is_over = True
        raise StopIteration


@dataset_op(
    "TakeWhileDataset",
    "input_dataset: variant, other_arguments: Targuments...",
    predicate=FUNCTION,
    **CALLED,
)
def take_while_dataset(input_dataset, *others, predicate):
    """The dataset of the elements before the first for which a function says false."""
    return derived(_TakeWhile, input_dataset, f=predicate, others=others)


class _Interleave(_Calling):
    """Up to `cycle` datasets at a time, of each of which `block` elements are taken in turn.

    Where `calls` is not None, so many threads make the elements of the datasets ahead.
    """

    def __init__(self, dataset, source) -> None:
        super().__init__(dataset, source)
        self.slots: list = [
            None
        ] * dataset.cycle  # (the element that made it, its position), or None
        self.turn = self.taken = 0
        self.is_over = self.is_begun = False
        self.turns = None if dataset.calls is None else threading.Semaphore(dataset.calls)

    def __next__(self):
        if self.turns is not None and not self.is_begun:
            self._begin_all()
        self.is_begun = True
        while True:
            slot = self.slots[self.turn]
            if slot is None:
                if self.is_over and not any(self.slots):
                    raise StopIteration
                if self.is_over:
                    self._turn()
                    continue
                slot = self._filled(self.turn)
                if slot is None:
                    continue
            if self.taken < self.dataset.block:
                try:
                    found = next(slot[1])
                except StopIteration:
                    self.slots[self.turn] = None
                    self._turn()
                    continue
                self.taken += 1
                return found
            self._turn()

    def _begin_all(self):
        """Have all the datasets of the first round read from now on."""
        for place in range(len(self.slots)):
            if self.slots[place] is None and not self.is_over:
                self._filled(place)

    def _filled(self, place):
        """The slot with the next dataset in it, or None where there is none."""
        try:
            element = next(self.sources[0])
        except StopIteration:
            self.is_over = True
            return None
        slot = self.slots[place] = (element, self._started(element))
        if self.turns is not None:
            slot[1].begin()
        return slot

    def _started(self, element):
        position = self.of(element)[0].start()
        if self.turns is None:
            return position
        return MadeAhead(position, max(2, self.dataset.block), self.turns)

    def close(self):
        super().close()
        for slot in self.slots:
            if slot is not None:
                slot[1].close()

    def _turn(self):
        self.turn = (self.turn + 1) % self.dataset.cycle
        self.taken = 0

    def save(self):
        slots = [slot and [slot[0], slot[1].save()] for slot in self.slots]
        return [super().save(), slots, [self.turn, self.taken, self.is_over, self.is_begun]]

    def load(self, state):
        own, slots, (self.turn, self.taken, self.is_over, self.is_begun) = state
        super().load(own)
        self.slots = [None] * len(slots)
        for i, slot in enumerate(slots):
            if slot is not None:
                element, inner = tuple(slot[0]), slot[1]
                position = self._started(element)
                position.load(inner)
                self.slots[i] = (element, position)


def _interleaved(source, others, f, cycle, block, types, shapes, calls=None):
    if int(cycle) == -1:
        cycle = 1 if calls is None else calls
    if int(cycle) < 1:
        raise InvalidArgumentError(None, None, "`cycle_length` must be > 0")
    if int(block) < 1:
        raise InvalidArgumentError(None, None, "`block_length` must be > 0")
    return derived(_Interleave, source, types=types, shapes=shapes, f=f, others=tuple(others), cycle=int(cycle),
                   block=int(block), calls=calls)  # fmt: skip


@dataset_op(
    "FlatMapDataset", "input_dataset: variant, other_arguments: Targuments...", f=FUNCTION, **CALLED
)
def flat_map_dataset(input_dataset, *others, f, output_types, output_shapes):
    """The dataset of the elements of the datasets that a function makes of each element."""
    return _interleaved(input_dataset, others, f, 1, 1, output_types, output_shapes)


@dataset_op("InterleaveDataset",
            "input_dataset: variant, other_arguments: Targuments..., cycle_length: int64, block_length: int64",
            f=FUNCTION, **CALLED)  # fmt: skip
def interleave_dataset(input_dataset, *inputs, f, output_types, output_shapes):
    """The dataset of the elements of several datasets that a function makes, a block of each in turn."""
    *others, cycle, block = inputs
    return _interleaved(input_dataset, others, f, cycle, block, output_types, output_shapes)


def _define_parallel(type_name, more, after, **attrs):
    @dataset_op(type_name,
                "input_dataset: variant, other_arguments: Targuments..., cycle_length: int64, block_length: int64, "
                + more, f=FUNCTION, **attrs, **CALLED)  # fmt: skip
    def kernel(input_dataset, *inputs, f, output_types, output_shapes):
        """InterleaveDataset, several datasets being read at a time; the order is the same."""
        cycle, block = inputs[-2 - after], inputs[-1 - after]
        others, calls = inputs[: -2 - after], _number_of(inputs[-1])
        return _interleaved(
            input_dataset, others, f, cycle, block, output_types, output_shapes, calls
        )

    return kernel


parallel_interleave_dataset_v2 = _define_parallel(
    "ParallelInterleaveDatasetV2", "num_parallel_calls: int64", 1, sloppy=False
)
parallel_interleave_dataset_v3 = _define_parallel(
    "ParallelInterleaveDatasetV3", "num_parallel_calls: int64", 1, deterministic="default"
)
parallel_interleave_dataset_v4 = _define_parallel(
    "ParallelInterleaveDatasetV4",
    "buffer_output_elements: int64, prefetch_input_elements: int64, num_parallel_calls: int64",
    3,
    deterministic="default",
)


class _Scan(_Calling):
    cardinality = staticmethod(dataset_sizes.same)
    FIELDS = ("state",)

    def __init__(self, dataset, source) -> None:
        super().__init__(dataset, source)
        self.state = list(dataset.initial)

    def __next__(self):
        count = len(self.state)
        found = self.of((*self.state, *next(self.sources[0])))
        self.state = list(found[:count])
        return tuple(found[count:])


STATE = {"Tstate": Attr("list(type)", minimum=1)}


@dataset_op("ScanDataset", "input_dataset: variant, initial_state: Tstate..., other_arguments: Targuments...",
            f=FUNCTION, **STATE, preserve_cardinality=False, use_default_device=True, **CALLED)  # fmt: skip
def scan_dataset(input_dataset, *inputs, f, Tstate, output_types, output_shapes):
    """The dataset of what a function makes of each element and of the state that it left at the one before."""
    initial, others = inputs[: len(Tstate)], inputs[len(Tstate) :]
    return derived(
        _Scan, input_dataset, types=output_types, shapes=output_shapes, f=f, initial=initial, others=others
    )  # fmt: skip


@op("ReduceDataset",
    "input_dataset: variant, initial_state: Tstate..., other_arguments: Targuments... -> components: output_types...",
    f=FUNCTION, **STATE, use_inter_op_parallelism=True, **CALLED)  # fmt: skip
def reduce_dataset(ctx, input_dataset, *inputs, f, Tstate):
    """What a function makes of the state and each element in turn, beginning with the initial state."""
    state, others = inputs[: len(Tstate)], inputs[len(Tstate) :]
    with waiting_by(ctx.wait):
        for element in input_dataset.start():
            state = f(*state, *element, *others)
    return state


reduce_dataset.shape(lambda *inputs, output_shapes: output_shapes)
reduce_dataset.waits().no_gradient("a dataset has no derivative")


class _Generator(Dataset):
    def __init__(self, types, shapes, functions, arguments) -> None:
        super().__init__(types, shapes)
        self.init, self.next, self.finalize = functions
        self.arguments = arguments

    def start(self):
        return _GeneratorPosition(self)


class _GeneratorPosition(Position):
    """Begins when the first element is asked for, and finalizes when there is none left."""

    def __init__(self, dataset) -> None:
        super().__init__(dataset)
        self.state: list | None = None
        self.is_over = False

    def __next__(self):
        if self.is_over:
            raise StopIteration
        dataset = self.dataset
        init_arguments, next_arguments, finalize_arguments = dataset.arguments
        if self.state is None:
            self.state = dataset.init(*init_arguments)
        try:
            return tuple(dataset.next(*self.state, *next_arguments))
        except OutOfRangeError:
            self.is_over = True
            dataset.finalize(*self.state, *finalize_arguments)
            raise StopIteration from None

    def save(self):
        check_saveable(self.dataset.init, self.dataset.next, self.dataset.finalize)
        raise FailedPreconditionError(
            None, None, "GeneratorDataset is stateful: its position cannot be saved"
        )


ARGUMENTS = Attr("list(type)", minimum=0)


@dataset_op("GeneratorDataset",
            "init_func_other_args: Tinit_func_args..., next_func_other_args: Tnext_func_args..., "
            "finalize_func_other_args: Tfinalize_func_args...", init_func=FUNCTION, next_func=FUNCTION,
            finalize_func=FUNCTION, Tinit_func_args=ARGUMENTS, Tnext_func_args=ARGUMENTS,
            Tfinalize_func_args=ARGUMENTS, **TYPES)  # fmt: skip
def generator_dataset(
    *inputs, init_func, next_func, finalize_func, Tinit_func_args, Tnext_func_args, output_types, output_shapes
):  # fmt: skip
    """The dataset of what one function makes of a state that another began, until it runs out of range."""
    first, second = len(Tinit_func_args), len(Tinit_func_args) + len(Tnext_func_args)
    arguments = inputs[:first], inputs[first:second], inputs[second:]
    functions = init_func, next_func, finalize_func
    return _Generator(output_types, output_shapes, functions, arguments)


@op("DatasetToSingleElement", "dataset: variant -> components: output_types...", **TYPES)
def dataset_to_single_element(ctx, dataset):
    """The only element. Raises InvalidArgumentError where there is none, or more than one."""
    with waiting_by(ctx.wait):
        position = dataset.start()
        found = next(position, None)
        if found is None:
            raise InvalidArgumentError(None, None, "Dataset was empty.")
        if next(position, None) is not None:
            raise InvalidArgumentError(None, None, "Dataset had more than one element.")
    return found


dataset_to_single_element.shape(lambda dataset, *, output_shapes: output_shapes)
dataset_to_single_element.waits().no_gradient("a dataset has no derivative")
