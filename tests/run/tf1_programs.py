"""Small programs with branches and loops, built three ways: as TensorFlow 1 does (Switch, Merge, Enter, Exit), with
tf.cond and tf.while_loop, and run by Python itself."""

from __future__ import annotations

from hypothesis import strategies as st

import ckpt as tf
from ckpt.ops import dataflow


def expressions(depth):
    """Strategy: nested tuples. `("var", n)` is the n-th innermost value known, counted round."""
    leaves = st.one_of(
        st.tuples(st.just("var"), st.integers(0, 4)),
        st.tuples(st.just("const"), st.sampled_from([-1.5, 0.25, 2.0])),
    )
    if not depth:
        return leaves
    inner = expressions(depth - 1)
    return st.one_of(
        leaves,
        st.tuples(st.sampled_from(["add", "mul", "sin"]), inner, inner),
        st.tuples(st.just("cond"), inner, inner, inner, inner),
        st.tuples(st.just("loop"), st.integers(0, 3), inner, inner, inner),
    )


def by_python(expression, known):
    """The value of an expression where `known` are the values known, innermost last."""
    kind, *parts = expression
    if kind == "var":
        return known[-1 - parts[0] % len(known)]
    if kind == "const":
        return parts[0]
    if kind == "cond":
        test, limit, yes, no = parts
        is_taken = by_python(test, known) > by_python(limit, known)
        return by_python(yes if is_taken else no, known)
    if kind == "loop":
        count, start, first, second = parts
        a = b = by_python(start, known)
        for _ in range(count):
            a, b = by_python(first, [*known, a, b]), by_python(second, [*known, b])
        return a + b
    return _applied(kind, by_python(parts[0], known), by_python(parts[1], known), _sin)


def _sin(value):
    import numpy as np

    return float(np.sin(value))


def _applied(kind, a, b, sin):
    if kind == "add":
        return a + b * 0.5
    return sin(a - b) if kind == "sin" else a * b * 0.25


def by_functions(expression, known):
    """The same built with tf.cond and tf.while_loop."""
    kind, *parts = expression
    if kind == "var":
        return tf.identity(known[-1 - parts[0] % len(known)])
    if kind == "const":
        return tf.constant(parts[0], tf.float64)
    if kind == "cond":
        test, limit, yes, no = parts
        pred = by_functions(test, known) > by_functions(limit, known)
        return tf.cond(pred, lambda: by_functions(yes, known), lambda: by_functions(no, known))
    if kind == "loop":
        count, start, first, second = parts
        begin = by_functions(start, known)

        def body(i, a, b):
            return i + 1, by_functions(first, [*known, a, b]), by_functions(second, [*known, b])

        _, a, b = tf.while_loop(lambda i, a, b: i < count, body, [0, begin, begin])
        return a + b
    return _applied(kind, by_functions(parts[0], known), by_functions(parts[1], known), tf.sin)


class _Around:
    """The graph outside all branches and loops."""

    pivot = None

    def take(self, tensor):
        """`tensor` as it is known here."""
        return tensor

    def constant(self, value, dtype=tf.float64):
        """A constant that is alive where this is."""
        if self.pivot is None:
            return tf.constant(value, dtype)
        with tf.control_dependencies([self.pivot]):
            return tf.constant(value, dtype)


class _Branch(_Around):
    def __init__(self, outer, pred, is_true):
        self.outer, self.pred, self.is_true = outer, pred, is_true
        self.known = {}
        self.pivot = tf.identity(self._switched(pred))

    def _switched(self, tensor):
        return dataflow.switch(tensor, self.pred)[int(self.is_true)]

    def take(self, tensor):
        if tensor not in self.known:
            self.known[tensor] = self._switched(self.outer.take(tensor))
        return self.known[tensor]


class _Loop(_Around):
    def __init__(self, outer, name):
        self.outer, self.name = outer, name
        self.known = {}

    def enter(self, tensor):
        return dataflow.enter(tensor, frame_name=self.name)

    def take(self, tensor):
        if tensor not in self.known:
            outside = self.outer.take(tensor)
            self.known[tensor] = dataflow.enter(outside, frame_name=self.name, is_constant=True)
        return self.known[tensor]


def by_primitives(expression, known, around=None):
    """The same built of Switch, Merge, Enter, Exit and NextIteration."""
    around = around or _Around()
    kind, *parts = expression
    if kind == "var":
        value = around.take(known[-1 - parts[0] % len(known)])
        with tf.control_dependencies([] if around.pivot is None else [around.pivot]):
            return tf.identity(value)
    if kind == "const":
        return around.constant(parts[0])
    if kind == "cond":
        return _branches(parts, known, around)
    if kind == "loop":
        return _looped(parts, known, around)
    a, b = (by_primitives(part, known, around) for part in parts)
    half = around.constant(0.5 if kind == "add" else 0.25)
    if kind == "sin":
        return tf.sin(a - b)
    return a + b * half if kind == "add" else a * b * half


def _branches(parts, known, around):
    test, limit, yes, no = parts
    pred = by_primitives(test, known, around) > by_primitives(limit, known, around)
    sides = []
    for branch, is_true in ((no, False), (yes, True)):
        inside = _Branch(around, tf.identity(pred), is_true)
        sides.append(by_primitives(branch, known, inside))
    return dataflow.merge(sides)[0]


def _looped(parts, known, around):
    count, start, first, second = parts
    begin = by_primitives(start, known, around)
    frame = _Loop(around, f"frame_{tf.get_default_graph().version}")
    starts = [around.constant(0, tf.int32), begin, begin]
    merges = [dataflow.merge([enter, enter])[0] for enter in map(frame.enter, starts)]
    with tf.control_dependencies([merges[0]]):
        limit = tf.constant(count)
    pred = dataflow.loop_cond(merges[0] < limit)
    switched = [dataflow.switch(m, pred) for m in merges]
    i, a, b = (tf.identity(s[1]) for s in switched)
    frame.pivot = i
    frame.known.update({a: a, b: b})
    inner = [*known, a, b]
    following = [
        i + frame.constant(1, tf.int32),
        by_primitives(first, inner, frame),
        by_primitives(second, [*known, b], frame),
    ]
    for merge, value in zip(merges, following, strict=True):
        merge.op._update_input(1, dataflow.next_iteration(value))
    return dataflow.exit_(switched[1][0]) + dataflow.exit_(switched[2][0])
