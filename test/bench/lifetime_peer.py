"""The peer of test/bench/lifetime.sh: simulates customers, and fits and scores
them with the package lifetimes.

    lifetime_peer.py simulate <customers> <file>   writes a CSV: frequency,
        recency, age (in weeks, of whole days), monetary
    lifetime_peer.py measure <file> <pareto rows>  prints lines "name seconds",
        processor time of this process; Pareto/NBD on that many rows only

The customers follow a BG/NBD and a Gamma-Gamma model whose parameters are near
those of CDNOW, come in over 39 weeks, and are observed for 78.
"""

import sys
import time

import numpy


def simulate(customers, path):
    random = numpy.random.default_rng(20260101)
    r, alpha, a, b = 0.55, 10.5, 0.8, 2.5
    p, q, v = 6.25, 3.74, 15.44
    age = 78 * 7 - random.integers(0, 39 * 7, customers)
    rate = random.gamma(r, 1 / (alpha * 7), customers)
    leaving = random.beta(a, b, customers)
    now = numpy.zeros(customers)
    last = numpy.zeros(customers)
    frequency = numpy.zeros(customers, dtype=numpy.int64)
    alive = numpy.ones(customers, dtype=bool)
    while alive.any():
        index = numpy.flatnonzero(alive)
        now[index] += random.exponential(1 / rate[index])
        seen = now[index] < age[index]
        alive[index[~seen]] = False
        bought = index[seen]
        # purchases of one day are one purchase
        day = numpy.floor(now[bought])
        another = day > last[bought]
        frequency[bought[another]] += 1
        last[bought[another]] = day[another]
        alive[bought[random.random(len(bought)) < leaving[bought]]] = False
    spend = random.gamma(p * numpy.maximum(frequency, 1)) / (random.gamma(q, 1, customers) / v) / numpy.maximum(frequency, 1)
    # rates of spend differ between customers, not within
    spend = numpy.where(frequency > 0, numpy.round(numpy.maximum(spend, 0.01), 2), 0)
    with open(path, "w", encoding="ascii") as file:
        for row in zip(frequency, last, age, spend):
            file.write(f"{row[0]},{int(row[1])},{row[2]},{row[3]}\n")


def measure(path, pareto_rows):
    from lifetimes import BetaGeoFitter, GammaGammaFitter, ParetoNBDFitter

    frequency, recency, age, monetary = numpy.loadtxt(path, delimiter=",", unpack=True)
    recency = recency / 7
    age = age / 7

    def timed(name, call):
        start = time.process_time()
        result = call()
        print(f"{name} {time.process_time() - start:.3f}", flush=True)
        return result

    bg = BetaGeoFitter()
    timed("bgnbd_fit", lambda: bg.fit(frequency, recency, age))
    for key, value in bg.params_.items():
        print(f"bgnbd_{key} {value:.6f}")
    repeat = frequency > 0
    spend = GammaGammaFitter()
    timed("gamma_gamma_fit", lambda: spend.fit(frequency[repeat], monetary[repeat]))
    timed("p_alive", lambda: bg.conditional_probability_alive(frequency, recency, age))
    timed("expected_purchases", lambda: bg.conditional_expected_number_of_purchases_up_to_time(52, frequency, recency, age))
    import pandas

    timed(
        "lifetime_value",
        lambda: spend.customer_lifetime_value(
            bg, pandas.Series(frequency), pandas.Series(recency), pandas.Series(age), pandas.Series(monetary),
            time=12, freq="W", discount_rate=0.01,
        ),
    )
    numpy.random.seed(1)
    few = slice(0, pareto_rows)
    timed("pareto_nbd_fit", lambda: ParetoNBDFitter().fit(frequency[few], recency[few], age[few]))


if sys.argv[1] == "simulate":
    simulate(int(sys.argv[2]), sys.argv[3])
else:
    measure(sys.argv[2], int(sys.argv[3]))
