"""scikit-learn's side of the bench propensity: what a data scientist would run.

    propensity_peer.py fit N   export of the table wide, then two solvers
    propensity_peer.py auc N   export of the table scored, then roc_auc_score

Each step runs N times. Prints the median of its processor seconds in this process, and
the version. The connection is that of PGHOST and its relatives.
"""

import io
import statistics
import sys
import time

import pandas
import psycopg
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score


def export(table):
    buffer = io.BytesIO()
    with psycopg.connect() as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY {table} TO STDOUT (FORMAT csv, HEADER)") as copy:
            for data in copy:
                buffer.write(data)
    buffer.seek(0)
    return pandas.read_csv(buffer, true_values=["t"], false_values=["f"])


def median_of(count, step):
    """The median of the processor seconds of so many runs of a step, and the last result."""
    seconds = []
    for _ in range(count):
        result = None  # two of them might not fit into memory
        start = time.process_time()
        result = step()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), result


def fit(solver, x, y):
    # without a penalty, as close to the optimum as cdp.train_logit goes or less
    LogisticRegression(C=float("inf"), solver=solver, tol=1e-8, max_iter=1000).fit(x, y)


def main():
    rounds = int(sys.argv[2])
    if sys.argv[1] == "fit":
        exported, data = median_of(rounds, lambda: export("wide"))
        y = data.pop("y").to_numpy()
        x = data.to_numpy()
        lbfgs, _ = median_of(rounds, lambda: fit("lbfgs", x, y))
        newton, _ = median_of(rounds, lambda: fit("newton-cholesky", x, y))
        print(exported, lbfgs, newton, sklearn.__version__)
    else:
        exported, data = median_of(rounds, lambda: export("scored"))
        seconds, _ = median_of(rounds, lambda: roc_auc_score(data["label"], data["score"]))
        print(exported, seconds, sklearn.__version__)


main()
