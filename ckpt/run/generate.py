"""The same plan as a Python function: the speed of a plan, and how it is printed. One step per line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ckpt.core.errors import InternalError
from ckpt.run.interpret import StepFailure
from ckpt.run.plan import Plan, Step

_LITERALS = (bool, int, str, bytes, type(None))
HEADER_LINES = 1


def source_of(plan: Plan) -> str:
    """The program as text; kernels are k0, k1 …, constants c0 …, values v0 … as in `plan.names`."""
    return _Printer(plan).text()


def generate(plan: Plan) -> Callable[[Sequence[Any]], list[Any]]:
    """Compile the plan to a function of the fed values. It raises StepFailure exactly as `interpret` does."""
    printer = _Printer(plan)
    text = printer.text()
    filename = f"<plan {id(plan):x}>"
    space: dict[str, Any] = dict(printer.names)
    exec(compile(text, filename, "exec"), space)  # noqa: S102  # the text is ours, made of slot numbers only
    function = space["plan"]

    def run(feeds: Sequence[Any]) -> list[Any]:
        try:
            return function(*feeds)  # type: ignore[no-any-return]  # the text returns a list
        except Exception as error:
            raise StepFailure(_failed_step(error, filename, len(plan.steps))) from error

    return run


def _failed_step(error: BaseException, filename: str, count: int) -> int:
    """The number of the step whose line is in the traceback."""
    frame = error.__traceback__
    line = None
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == filename:
            line = frame.tb_lineno
        frame = frame.tb_next
    if line is None or not 0 <= line - 1 - HEADER_LINES < count:
        raise InternalError(
            None, None, f"a generated plan failed outside its steps: {error!r}"
        ) from error
    return line - 1 - HEADER_LINES


class _Printer:
    """Writes a plan as source and collects the objects that the source names."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.names: dict[str, Any] = {}
        self._known: dict[int, str] = {}
        self._constants = {
            slot: self._name("c", value)
            for slot, value in enumerate(plan.initial)
            if slot >= len(plan.feeds) and value is not None
        }

    def _name(self, prefix: str, value: Any) -> str:
        name = self._known.get(id(value))
        if name is None:
            name = f"{prefix}{len(self._known)}"
            self._known[id(value)] = name
            self.names[name] = value
        return name

    def _slot(self, slot: int) -> str:
        return self._constants.get(slot) or f"v{slot}"

    def text(self) -> str:
        arguments = ", ".join(f"v{i}" for i in range(len(self.plan.feeds)))
        lines = [f"def plan({arguments}):"]
        lines += [self._line(step) for step in self.plan.steps]
        lines.append(f"    return [{', '.join(self._slot(i) for i in self.plan.fetches)}]")
        return "\n".join(lines) + "\n"

    def _line(self, step: Step) -> str:
        arguments = [self._name("x", lead) for lead in step.lead]
        arguments += [self._slot(i) for i in step.inputs]
        arguments += [f"{key}={self._literal(value)}" for key, value in step.attrs.items()]
        call = f"{self._name('k', step.kernel)}({', '.join(arguments)})"
        if step.many:
            targets = ", ".join(f"v{i}" for i in step.outputs)
            call = f"{targets}, = {call}" if step.outputs else call
        else:
            call = f"v{step.outputs[0]} = {call}"
        dead = [f"v{i}" for i in step.last_uses if i not in self._constants]
        if dead:
            call += f"; del {', '.join(dead)}"
        return f"    {call}  # {ascii(step.node.name)[1:-1]}"

    def _literal(self, value: Any) -> str:
        return repr(value) if isinstance(value, _LITERALS) else self._name("a", value)
