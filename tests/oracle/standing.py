"""What programs borrow to have the surroundings stand still: the time. Runs beside either implementation, so it knows neither."""

import time
from contextlib import contextmanager


@contextmanager
def clock():
    """The time, which stands: `now[0]` may be moved."""
    real = time.time
    now = [real()]
    time.time = lambda: now[0]
    try:
        yield now
    finally:
        time.time = real
