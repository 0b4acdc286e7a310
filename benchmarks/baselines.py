"""How hard the data sets are: untuned scikit-learn classifiers on the flattened inputs, one row a data set.

They are there to notice a broken preparation, and to compare networks with something plain. Everything is
seeded and computed in one thread; data sets that are not at hand are left out with a line.
Command: python benchmarks/baselines.py (half a minute of processor time once the data are prepared), or with
the names of data sets.
"""

import argparse
import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from jaxrobust import data


class Kernel(ClassifierMixin, BaseEstimator):
    """A support vector machine with Gaussian kernel; the kernel by matrix products, which are much faster."""

    def fit(self, inputs, labels):
        self.inputs_, self.machine_ = inputs, SVC(kernel="precomputed", cache_size=1000)
        self.machine_.fit(rbf_kernel(inputs), labels)
        return self

    def predict(self, inputs):
        return self.machine_.predict(rbf_kernel(inputs, self.inputs_))


def logistic():
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))


def mlp(n_epochs=100):
    return make_pipeline(StandardScaler(), MLPClassifier((64,), max_iter=n_epochs, random_state=0))


def kernel():
    return make_pipeline(StandardScaler(), Kernel())


FLAT = {"logistic regression": logistic, "MLP of 64 units": mlp}
# Of the large image sets a part, and few epochs on it. (Images lie in random order.)
N_MOST, N_EPOCHS = 20_000, 15
IMAGES = {f"MLP of 64 units, {N_EPOCHS} epochs": lambda: mlp(N_EPOCHS)}
ROWS = [
    ("mitdb", "published", FLAT),
    ("mitdb", "patients_normal_pvc", FLAT),
    ("mitdb", "patients", {**FLAT, "RBF-SVM": kernel}),
    ("generated_ecg", "patients", FLAT),
    ("digits", "stratified", FLAT),
    ("arabic_speech", "speakers", {"RBF-SVM": kernel}),
    ("generated_speech", "speakers", {"RBF-SVM": kernel}),
    ("fashion_mnist", "clean", IMAGES),
    ("mnist", "clean", IMAGES),
    ("cifar10", "clean", IMAGES),
]


def flat(examples):
    inputs = np.asarray(examples.inputs[:N_MOST], np.float32)
    return inputs.reshape(len(inputs), -1), np.asarray(examples.labels[:N_MOST])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"data sets; all of {', '.join(data.DATASETS)} if none")
    names = parser.parse_args().names
    warnings.simplefilter("ignore", ConvergenceWarning)  # untuned on purpose
    print("| data set | split | training samples | baseline | test accuracy | recall of each class |")
    print("|---|---|---|---|---|---|")
    for name, split, baselines in ROWS:
        if names and name not in names:
            continue
        if not data.available(name):
            print(f"{name} is not at hand and left out.")
            continue
        dataset = data.load(name, split=split)
        (inputs, labels), (test_inputs, test_labels) = flat(dataset.train), flat(dataset.test)
        for what, make in baselines.items():
            with threadpool_limits(1):
                answers = make().fit(inputs, labels).predict(test_inputs)
            recall = [np.mean(answers[test_labels == k] == k) for k in range(len(dataset.classes))]
            of_each = " ".join(f"{share:.2f}" for share in recall)
            row = (
                dataset.source,
                split,
                str(len(labels)),
                what,
                f"{np.mean(answers == test_labels):.1%}",
                of_each,
            )
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
