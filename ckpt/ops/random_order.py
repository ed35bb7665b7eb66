"""The order that a shuffle leaves: the steps of Fisher and Yates, taken all at once. Draws no numbers."""

from __future__ import annotations

import numpy as np


def shuffled(jumps):
    """What stands where after step n, for each n in turn, swapped the values at n and n + jumps[n].

    `jumps` are integers of at least 0; there is one value more than steps. Nothing returns to a place whose step was, so
    what ends at n is what step n found at the place that it swapped with: the value of an earlier step that swapped with
    the same place, or else the place's own. What an earlier step brought there it found at its own place, where another
    had brought it: those chains, which grow with the logarithm of the number of steps, are followed by doubling.
    """
    count = len(jumps) + 1
    own = np.arange(count)
    other = np.append(own[:-1] + jumps, count - 1)
    sorted_steps = np.sort(other << 32 | own)
    place, step = sorted_steps >> 32, sorted_steps & 0xFFFFFFFF
    again = place[1:] == place[:-1]
    earlier = np.full(count, -1)  # the last step before that swapped with the same place
    earlier[step[1:][again]] = step[:-1][again]
    last = np.full(count, -1)  # the last step that swapped with a place
    last[other] = own
    bringer = np.where(other == own, earlier, last)
    found = np.where(bringer < 0, own, bringer)  # whose value stands at n when its step begins
    while not np.array_equal(further := found[found], found):
        found = further
    return np.where(earlier < 0, other, found[earlier])
