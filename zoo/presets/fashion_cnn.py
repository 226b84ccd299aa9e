"""Convolutional networks on Fashion-MNIST: 16 networks, with and without batch normalisation, five epochs.

    python run_zoo.py run fashion-cnn --out zoos/fashion-cnn

Two CPU cores: 16 minutes to train beside other work. Expected: median test accuracy .910, the lowest .905.
"""

from models import cnn
from zoo import Training, Zoo, product
from zoo.tasks import fashion_mnist

zoo = Zoo(
    "fashion-cnn",
    task=fashion_mnist.Task(),
    model=product(cnn.Model, channels=(16, 32), dense=(64,), normalization=["none", "batch"], dropout=0.2),
    training=Training(learning_rate=2e-3, steps=4687, batch=64, schedule="cosine"),
    seeds=8,
)
