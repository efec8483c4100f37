"""Where graphs can be divided, against all paths enumerated."""

import itertools

import numpy as np
import pytest

from hwflow.graphs.bottlenecks import INPUT, Order, Place


def random_order(seed):
    """A graph of one input and one output; what leads nowhere leads to the output."""
    random = np.random.default_rng(seed)
    count = int(random.integers(2, 9))
    reads = [
        tuple({int(n) for n in random.integers(max(INPUT, i - 4), i, random.integers(1, 3))})
        for i in range(count)
    ]
    loose = set(range(count - 1)) - set(itertools.chain(*reads))
    reads[-1] = tuple({*reads[-1], *loose})
    products = random.choice(count, int(random.integers(1, 3)))
    return Order(tuple(reads), frozenset(int(n) for n in products))


def paths(order, number):
    """All ways from the input to an operation."""
    if number == INPUT:
        return [()]
    return [(*way, number) for source in order.reads[number] for way in paths(order, source)]


@pytest.mark.parametrize("seed", range(60))
def test_every_path_goes_through_a_bottleneck_and_through_nothing_else(seed):
    order = random_order(seed)
    ways = [set(way) for way in paths(order, len(order.reads) - 1)]
    assert order.bottlenecks() == sorted(set.intersection(*ways))


@pytest.mark.parametrize("seed", range(60))
def test_places_are_what_paths_say(seed):
    order = random_order(seed)
    ways = paths(order, len(order.reads) - 1)
    for number in range(len(order.reads)):
        through = [way for way in ways if number in way]
        behind = any(order.products & set(way[: way.index(number) + 1]) for way in through)
        before = any(order.products & set(way[way.index(number) :]) for way in through)
        wanted = {
            (True, True): Place.BETWEEN,
            (True, False): Place.BEFORE,
            (False, True): Place.BEHIND,
            (False, False): Place.BESIDE,
        }[before, behind]
        assert order.place(number) is wanted


@pytest.mark.parametrize("seed", range(60))
def test_borders_keep_all_products_between_them(seed):
    order = random_order(seed)
    everything = range(len(order.reads))
    begin = order.begin(INPUT, set(everything))
    if begin is not None:
        assert begin <= min(order.products)
        assert begin == order.bottlenecks()[0]
    end = order.end(len(order.reads))
    assert end == len(order.reads) - 1
    earlier = order.end(end)
    assert earlier is None or max(order.products) <= earlier < end
