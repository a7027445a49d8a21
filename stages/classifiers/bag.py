"""Several networks as one model, which averages their probabilities."""

from collections.abc import Sequence

from stages.classifiers.engine import keras


def join(networks: Sequence[keras.Model]) -> keras.Model:
    """Return one classifier of several for the same photos and classes; a single one stays as it is.

    Bagging: Breiman 1996, Machine Learning 24. Each member here lacks one fold in place of a bootstrap sample's
    photos, as in Krogh & Vedelsby 1995, Neural Network Ensembles, Cross Validation, and Active Learning.
    """
    if len(networks) == 1:
        return networks[0]
    photo = keras.Input(networks[0].input_shape[1:], dtype="uint8", name="photo")
    named = [keras.Model(one.input, one.output, name=f"member_{n}") for n, one in enumerate(networks)]
    average = keras.layers.Average(dtype="float32", name="probabilities")([one(photo) for one in named])
    return keras.Model(photo, average, name="probabilities")
