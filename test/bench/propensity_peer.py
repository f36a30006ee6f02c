"""scikit-learn's side of the bench propensity: what a data scientist would run.

    propensity_peer.py fit   export of the table wide, then two solvers
    propensity_peer.py auc   export of the table scored, then roc_auc_score

Prints processor seconds of this process for each step, and the version. The
connection is that of PGHOST and its relatives.
"""

import io
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


def fit(solver, x, y):
    start = time.process_time()
    # without a penalty, as close to the optimum as cdp.train_logit goes or less
    LogisticRegression(C=float("inf"), solver=solver, tol=1e-8, max_iter=1000).fit(x, y)
    return time.process_time() - start


def main():
    start = time.process_time()
    if sys.argv[1] == "fit":
        data = export("wide")
        y = data.pop("y").to_numpy()
        x = data.to_numpy()
        exported = time.process_time() - start
        print(exported, fit("lbfgs", x, y), fit("newton-cholesky", x, y), sklearn.__version__)
    else:
        data = export("scored")
        exported = time.process_time() - start
        start = time.process_time()
        roc_auc_score(data["label"], data["score"])
        print(exported, time.process_time() - start, sklearn.__version__)


main()
