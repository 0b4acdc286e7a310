"""Optimizers: directions of descent; the learning rate is multiplied in by the training program."""

import optax

OPTIMIZERS: dict[str, optax.GradientTransformation] = {
    "adam": optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8),
    "sgd": optax.identity(),
}
