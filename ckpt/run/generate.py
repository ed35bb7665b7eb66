"""The same plan as a Python function: the speed of a plan, and how it is printed. One step per line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ckpt.core.errors import InternalError
from ckpt.graph.operation import Operation
from ckpt.run import flow
from ckpt.run.deadline import check
from ckpt.run.interpret import StepFailure
from ckpt.run.plan import Plan, Step

_LITERALS = (bool, int, str, bytes, type(None))
MAX_DEPTH = 12
"""Python nests at most 20 loops; deeper ones are called instead of printed."""


def source_of(plan: Plan) -> str:
    """The program as text; kernels are k0, k1 …, constants c0 …, values v0 … as in `plan.names`."""
    return _Printer(plan).text


def generate(plan: Plan) -> Callable[[Sequence[Any]], list[Any]]:
    """Compile the plan to a function of the fed values. It raises StepFailure exactly as `interpret` does."""
    printer = _Printer(plan)
    filename = f"<plan {id(plan):x}>"
    space: dict[str, Any] = dict(printer.names)
    exec(compile(printer.text, filename, "exec"), space)  # noqa: S102  # the text is ours, made of slot numbers only
    function = space["plan"]
    nodes = printer.nodes

    def run(feeds: Sequence[Any]) -> list[Any]:
        try:
            return function(*feeds)  # type: ignore[no-any-return]  # the text returns a list
        except StepFailure:  # of a program that the text calls
            raise
        except Exception as error:
            raise StepFailure(_failed_node(error, filename, nodes)) from error

    return run


def _failed_node(
    error: BaseException, filename: str, nodes: Sequence[Operation | None]
) -> Operation:
    """The node whose line is in the traceback."""
    frame = error.__traceback__
    found = None
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == filename and frame.tb_lineno is not None:
            found = nodes[frame.tb_lineno - 1]
        frame = frame.tb_next
    if found is None:
        raise InternalError(
            None, None, f"a generated plan failed outside its steps: {error!r}"
        ) from error
    return found


class _Scope:
    """What the slots of one program are called, and which of these names it may delete."""

    def __init__(self, plan: Plan, prefix: str, depth: int) -> None:
        self.plan = plan
        self.prefix = prefix
        self.depth = depth
        self.given: dict[int, str] = {}
        self.kept: set[str] = set()

    def name(self, slot: int) -> str:
        """The name of a slot that is no constant."""
        return self.given.get(slot) or f"{self.prefix}{slot}"


class _Printer:
    """Writes a plan as source, one step per line, and collects the objects that the source names."""

    def __init__(self, plan: Plan) -> None:
        self.names: dict[str, Any] = {}
        self.nodes: list[Operation | None] = []
        self._known: dict[int, str] = {}
        self._lines: list[str] = []
        self._programs = 0
        scope = _Scope(plan, "v", 1)
        arguments = ", ".join(f"v{i}" for i in range(len(plan.feeds)))
        self._write(0, f"def plan({arguments}):", None)
        self._steps(scope)
        self._write(1, f"return [{', '.join(self._results(scope))}]", None)
        self.text = "\n".join(self._lines) + "\n"

    def _write(self, depth: int, text: str, node: Operation | None, note: bool = False) -> None:
        comment = f"  # {ascii(node.name)[1:-1]}" if node is not None and note else ""
        self._lines.append(f"{'    ' * depth}{text}{comment}")
        self.nodes.append(node)

    def _name(self, prefix: str, value: Any) -> str:
        name = self._known.get(id(value))
        if name is None:
            name = f"{prefix}{len(self._known)}"
            self._known[id(value)] = name
            self.names[name] = value
        return name

    def _constants(self, scope: _Scope) -> None:
        for slot, value in enumerate(scope.plan.initial):
            if slot >= len(scope.plan.feeds) and value is not None:
                scope.given[slot] = self._name("c", value)
                scope.kept.add(scope.given[slot])

    def _results(self, scope: _Scope) -> list[str]:
        return [scope.name(slot) for slot in scope.plan.fetches]

    def _steps(self, scope: _Scope) -> None:
        self._constants(scope)
        for step in scope.plan.steps:
            if step.kernel is flow.loop and scope.depth < MAX_DEPTH:
                self._loop(step, scope)
            elif step.kernel is flow.branch and scope.depth < MAX_DEPTH:
                self._branch(step, scope)
            else:
                self._call(step, scope)

    def _call(self, step: Step, scope: _Scope) -> None:
        arguments = [self._name("x", lead) for lead in step.lead]
        arguments += [scope.name(i) for i in step.inputs]
        arguments += [f"{key}={self._literal(value)}" for key, value in step.attrs.items()]
        call = f"{self._name('k', step.kernel)}({', '.join(arguments)})"
        if step.many:
            targets = ", ".join(scope.name(i) for i in step.outputs)
            call = f"{targets}, = {call}" if step.outputs else call
        else:
            call = f"{scope.name(step.outputs[0])} = {call}"
        self._write(scope.depth, call + self._dead(step.last_uses, scope), step.node, note=True)

    def _dead(self, slots: Sequence[int], scope: _Scope) -> str:
        """The end of a line that lets go of what no later step needs."""
        names = list(dict.fromkeys(map(scope.name, slots)))
        gone = [name for name in names if name not in scope.kept]
        return f"; del {', '.join(gone)}" if gone else ""

    def _literal(self, value: Any) -> str:
        return repr(value) if isinstance(value, _LITERALS) else self._name("a", value)

    def _inner(self, program: flow.Program, step: Step, scope: _Scope, depth: int) -> _Scope:
        """The scope of a step's program: its feeds are called as the inputs of the step."""
        self._programs += 1
        inner = _Scope(program.plan, f"b{self._programs}_", depth)
        for slot, taken in enumerate(program.takes):
            inner.given[slot] = scope.name(step.inputs[taken])
            inner.kept.add(inner.given[slot])
        return inner

    def _branch(self, step: Step, scope: _Scope) -> None:
        (index,) = step.lead
        programs = step.attrs["programs"]
        condition = scope.name(step.inputs[0])
        heads = ["if True:"] if len(programs) == 1 else [f"if {condition}:", "else:"]
        if len(programs) > 1 and not _is_plain_condition(step):
            chosen = f"i{len(self._lines)}"
            self._write(
                scope.depth,
                f"{chosen} = {self._name('k', index)}({condition})",
                step.node,
                note=True,
            )
            heads = [f"if {chosen} == 0:"]
            heads += [f"elif {chosen} == {i}:" for i in range(1, len(programs) - 1)]
            heads += ["else:"]
        for head, program in zip(heads, programs, strict=True):
            self._write(scope.depth, head, step.node, note=True)
            self._arm(program, step, scope)
        dead = self._dead(step.last_uses, scope)
        if dead:
            self._write(scope.depth, dead[2:], step.node)

    def _arm(self, program: flow.Program, step: Step, scope: _Scope) -> None:
        inner = self._inner(program, step, scope, scope.depth + 1)
        self._constants(inner)
        targets = {}
        for result, output in zip(program.plan.fetches, step.outputs, strict=True):
            if result in inner.given:
                targets[scope.name(output)] = inner.name(result)
            else:
                inner.given[result] = scope.name(output)
                inner.kept.add(inner.given[result])
        self._steps(inner)
        for target, source in targets.items():
            self._write(inner.depth, f"{target} = {source}", step.node)
        if not targets and not program.plan.steps:
            self._write(inner.depth, "pass", step.node)

    def _loop(self, step: Step, scope: _Scope) -> None:
        count = step.attrs["count"]
        variables = [scope.name(slot) for slot in step.outputs]
        starts = step.inputs[:count]
        gone = [s for s in step.last_uses if s in starts and s not in step.inputs[count:]]
        later = [s for s in step.last_uses if s not in gone]
        if variables:
            begin = f"{', '.join(variables)} = {', '.join(map(scope.name, starts))}"
            self._write(scope.depth, begin + self._dead(gone, scope), step.node, note=True)
        self._write(scope.depth, "while True:", step.node, note=True)
        self._write(scope.depth + 1, f"{self._name('k', check)}()", step.node)
        test = self._loop_program(step.attrs["cond"], step, scope, variables)
        self._steps(test)
        self._write(test.depth, f"if not {self._results(test)[0]}: break", step.node)
        body = self._loop_program(step.attrs["body"], step, scope, variables)
        body.kept -= set(variables)
        self._steps(body)
        results = self._results(body)
        if variables:
            local = [n for n in dict.fromkeys(results) if n.startswith(body.prefix)]
            end = f"; del {', '.join(local)}" if local else ""
            self._write(
                body.depth, f"{', '.join(variables)} = {', '.join(results)}{end}", step.node
            )
        dead = self._dead(later, scope)
        if dead:
            self._write(scope.depth, dead[2:], step.node)

    def _loop_program(
        self, program: flow.Program, step: Step, scope: _Scope, variables: list[str]
    ) -> _Scope:
        inner = self._inner(program, step, scope, scope.depth + 1)
        for slot, taken in enumerate(program.takes):
            if taken < len(variables):
                inner.given[slot] = variables[taken]
                inner.kept.add(variables[taken])
        return inner


def _is_plain_condition(step: Step) -> bool:
    """True for the scalar bool of an If, which Python's `if` takes as it is."""
    tensor = step.node._inputs[0]
    return "If" in step.node.type and tensor.dtype.base_dtype.is_bool and tensor.shape.rank == 0
