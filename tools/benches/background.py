"""What a save of 1 GiB costs the training that waits for it: in the foreground, and in the background.

The model updates every byte in place in each step: the step after the call moves what has not reached the file yet to
other memory. That is measured apart from the call: for a step that does nothing else and comes at once, the worst case, and
for one that computes for half a second before it updates anything, as training on a gigabyte of variables does at least.
"""

import statistics
import time

from tools.benches.registry import contestant

GROUP = "save: seconds that training waits"


class Training:
    """All of the case's tensors as variables, and a step that updates each of them in place."""

    def __init__(self, case):
        import ckpt as tf

        variables = [
            tf.get_variable(name, shape, initializer=tf.zeros_initializer())
            for name, shape in case.shapes().items()
        ]
        loss = tf.add_n([tf.reduce_sum(variable) for variable in variables])
        self._step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
        self._saver = tf.train.Saver(variables)
        self._session = tf.Session()
        self._session.run(tf.global_variables_initializer())
        self._path = str(case.directory / "background")
        self.save()  # packs the graph, loads h5py
        # the first time, the step's copies are the process's first use of so much memory
        for _ in range(2):
            save = self.save(asynchronous=True)
            self.step()
            save.result()

    def usual(self):
        """Seconds of a step while nothing is saved, as the machine is now."""
        return statistics.median(self.step() for _ in range(5))

    def step(self):
        start = time.perf_counter()
        self._session.run(self._step)
        return time.perf_counter() - start

    def save(self, **options):
        return self._saver.save(self._session, self._path, **options)


@contestant(GROUP, "in the foreground")
def _(case):
    training = Training(case)
    return lambda: bool(training.save())


@contestant(GROUP, "in the background")
def _(case):
    training = Training(case)

    def call():
        start = time.perf_counter()
        save = training.save(asynchronous=True)
        waited = time.perf_counter() - start
        save.result()
        return waited

    return call


@contestant(GROUP, "in the background, and how much longer the next step takes")
def _(case):
    return call_and_step(Training(case), 0)


@contestant(GROUP, "the same where it first computes for half a second")
def _(case):
    return call_and_step(Training(case), 0.5)


def call_and_step(training, computing):
    def timed():
        start = time.perf_counter()
        save = training.save(asynchronous=True)
        waited = time.perf_counter() - start
        time.sleep(computing)
        stepped = training.step()
        save.result()
        return waited + max(stepped - training.usual(), 0.0)

    return timed
