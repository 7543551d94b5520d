"""A baseline in 15 lines: an SVM on how log-mel bands lie, spread and change over time.

Usage: emoset benchmark docs/examples/svm_logmel.py:SvmOnLogMel emodb --data data
"""

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

HERTZ = 700 * (10 ** (np.linspace(0, 2840, 66) / 2595) - 1)  # edges of 64 bands, in equal steps of mel
RISE = (np.linspace(0, 8000, 257)[:, None] - HERTZ[:-1]) / np.diff(HERTZ)
BANDS = np.maximum(0, np.minimum(RISE[:, :-1], 1 - RISE[:, 1:]))  # triangles that overlap by half


def features(row):
    """Mean, deviation and change over time of each band, shape [192]; frames of 32 ms every 10 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(row["audio"]["array"], 256), 512)[::160]
    logmel = np.log(np.abs(np.fft.rfft(frames * np.hanning(512))) ** 2 @ BANDS + 1e-6)
    return np.concatenate([logmel.mean(0), logmel.std(0), np.diff(logmel, axis=0).std(0)])


class SvmOnLogMel:
    """All that the benchmark asks of a model: fit and predict."""

    def fit(self, train, validation):
        """Learn from rows with audio and label; there is no setting to choose, so validation is not used."""
        self.svm = make_pipeline(StandardScaler(), SVC(kernel="linear", C=0.01, class_weight="balanced"))
        examples, labels = zip(*((features(row), row["label"]) for row in train), strict=True)
        self.svm.fit(examples, labels)

    def predict(self, test):
        """One class index per row."""
        return self.svm.predict([features(row) for row in test])
