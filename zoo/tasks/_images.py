"""What all image tasks share: classification of a data set's images, augmentation, and the shuffle of minibatches."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from models import off, on, setting
from zoo.data import datasets
from zoo.data.datasets import LUMINANCE, Dataset
from zoo.tasks import Trials

AUGMENTATION = 0x1A6E0001
"""Tag of the augmentation's random numbers; the shuffle's are tagged with the epoch, a small number."""


@dataclasses.dataclass(frozen=True)
class Images:
    """What all image tasks share.

    Inputs `(trial, height, width, channel)`, pixels scaled to [0, 1] and then, channel by channel, to about mean 0 and
    variance 1 over the training set; targets `(trial,)`, the class, int32; mask of ones `(trial,)`. Condition: `label`,
    the class. A minibatch is drawn without replacement within an epoch of the training images.

    Training images, and they alone, can be augmented. An image x becomes

        W_y (x - black) W_x' + black,    W[i, j] = max(0, 1 - |s(i) - j|),

    one bilinear resampling whose positions s(i) follow from all three changes; what lies outside is black, level 0.

    Attributes:
      probe_images: images of the probe, held out, equally many of every class.
      shift: pixels; every training image moves by a whole number of pixels from -shift to shift, down and across.
      flip: probability of a left-right mirror image.
      crop: a window of side (1 - crop u) times the image's, u uniform in [0, 1), anywhere in it, is resized to it.
    """

    probe_images: int = setting(100, least=1, most=2000)
    shift: float = off(0.0)
    flip: float = off(0.0, most=1.0)
    crop: float = off(0.0, below=1.0)

    source = ""
    """Name of the data set."""
    input_shape = (0, 0, 0)
    outputs = 0
    dt = 0.0
    scored = "accuracy"
    chance = 0.0
    solved = 1.0
    mean, deviation = (0.0,), (1.0,)
    """Per channel, of the training images' pixels, scaled to [0, 1]."""
    train_size, test_size = 0, 0
    """Images to train on and held out."""

    def __post_init__(self) -> None:
        if self.probe_images % self.outputs:
            raise ValueError(
                f"{self._name}: probe_images={self.probe_images} must be a multiple of {self.outputs}, the number of "
                "classes."
            )

    @property
    def _name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    @property
    def classes(self) -> tuple[str, ...]:
        """A name for every class."""
        return datasets.CLASSES[self.source]

    @property
    def probed(self) -> int:
        """Images of the probe."""
        return self.probe_images

    def dataset(self) -> Dataset:
        """The data set, in its own order: the same object each time."""
        return datasets.load(self.source)

    def data(self) -> dict[str, np.ndarray]:
        """`images`, uint8, and `labels`, int32: first the training images, then the others; the same arrays each time.

        The held-out images are dealt class by class, so that their first k times as many as classes hold k of every.
        """
        images, labels = _dealt(self.dataset())
        return {"images": images, "labels": labels}

    def sample(self, key: jax.Array, batch: int, step: Any = 0, data: Any = None) -> Trials:
        """Minibatch `step` of the training images."""
        trials = self._trials(epoch_indices(key, step, batch, self.train_size), data)
        if not (on(self.shift) or on(self.flip) or on(self.crop)):
            return trials
        random = jax.random.uniform(jax.random.fold_in(jax.random.fold_in(key, AUGMENTATION), step), (6, batch))
        return trials._replace(inputs=self._augmented(trials.inputs, random))

    def _augmented(self, inputs: jax.Array, random: jax.Array) -> jax.Array:
        """The inputs resampled, given six uniform numbers for each: two shifts, flip, side and two places of a crop."""
        _, height, width, channels = inputs.shape
        most = jnp.floor(self.shift)
        moves = jnp.floor(random[:2] * (2 * most + 1)) - most
        flip = random[2] < self.flip
        side = 1 - self.crop * random[3]
        rows = resampling(height, moves[0], jnp.zeros_like(flip), side, random[4])
        columns = resampling(width, moves[1], flip, side, random[5])
        precise = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
        out = precise("tyh,thx->tyx", rows, inputs.reshape(-1, height, width * channels))
        out = precise("txw,tywc->tyxc", columns, out.reshape(inputs.shape))
        # W (x - black) W' + black, but where the weights are 0 and 1 the pixels keep their bits.
        covered = jnp.sum(rows, axis=2)[:, :, None] * jnp.sum(columns, axis=2)[:, None]
        return out + (1 - covered)[..., None] * self._levels()[:, 0][None, None, None]

    def _levels(self) -> jax.Array:
        """`(channel, 256)`: the inputs of all levels. A table has the same bits on every device, however it divides."""
        mean, deviation = (np.asarray(values)[:, None] for values in (self.mean, self.deviation))
        return jnp.asarray((np.arange(256)[None] / 255 - mean) / deviation, jnp.float32)

    def _trials(self, index: Any, data: Any) -> Trials:
        data = self.data() if data is None else data
        images, labels = jnp.asarray(data["images"])[index], jnp.asarray(data["labels"])[index]
        images = images[..., None] if images.ndim == 3 else images
        inputs = jnp.stack([level[images[..., i]] for i, level in enumerate(self._levels())], axis=-1)
        return Trials(inputs, labels, jnp.ones(labels.shape), {"label": labels})

    def condition_words(self, name: str, value: Any) -> str:
        """The class of a label."""
        return self.classes[int(value)]

    def loss(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Cross entropy, nats, masked mean over trials; `outputs` are logits `(trial, class)`."""
        chosen = jax.nn.log_softmax(outputs) * jax.nn.one_hot(trials.targets, self.outputs)
        return -jnp.sum(jnp.sum(chosen, axis=-1) * trials.mask) / jnp.sum(trials.mask)

    def score(self, outputs: jax.Array, trials: Trials) -> jax.Array:
        """Accuracy: the masked share of trials whose largest output is that of the class."""
        right = jnp.argmax(outputs, axis=-1) == trials.targets
        return jnp.sum(right * trials.mask) / jnp.sum(trials.mask)

    def evaluation(self, data: Any = None) -> Trials:
        """All held-out images."""
        return self._trials(slice(self.train_size, self.train_size + self.test_size), data)

    def probe(self, data: Any = None) -> Trials:
        """The first held-out images of every class, class by class."""
        return self._trials(self.train_size + self._dealt_probe, data)

    @property
    def _dealt_probe(self) -> np.ndarray:
        """The probe's images among those held out, as they are dealt, class by class."""
        return np.arange(self.probed).reshape(-1, self.outputs).T.reshape(-1)

    def places(self) -> np.ndarray:
        """Where each of the probe's images stands in the held-out set as it was published, `(image,)`."""
        return _dealing(self.dataset())[self._dealt_probe]

    def stimuli(self, images: Any) -> jax.Array:
        """Any images as this task's inputs `(image, height, width, channel)`: resized, and scaled as its own are.

        Args:
          images: `(image, height, width)` or `(image, height, width, 3)`, uint8. Colours become luminance where the
            task is grey; grey becomes three equal channels where it has colours. The image's whole width and height
            become the input's, by linear interpolation, antialiased where that is smaller.
        """
        images = np.asarray(images)
        datasets.check_images(f"{self._name}'s stimuli", images)
        pixels = jnp.asarray(images, jnp.float32)
        height, width, channels = self.input_shape
        if channels == 1 and images.ndim == 4:
            pixels = jnp.sum(pixels * jnp.asarray(LUMINANCE)[None, None, None], axis=-1)
        pixels = pixels if pixels.ndim == 4 else pixels[..., None]
        with jax.default_matmul_precision("highest"):
            pixels = jax.image.resize(pixels, (len(images), height, width, pixels.shape[-1]), "linear")
        mean, deviation = (jnp.asarray(values)[None, None, None] for values in (self.mean, self.deviation))
        return (pixels / 255 - mean) / deviation


@functools.lru_cache(maxsize=8)
def _dealt(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """All images and labels, read-only: first the training images, then the others, dealt class by class."""
    order = _dealing(dataset)
    arrays = (
        np.concatenate([dataset.train_images, dataset.test_images[order]]),
        np.concatenate([dataset.train_labels, dataset.test_labels[order]]),
    )
    for array in arrays:
        array.setflags(write=False)
    return arrays


@functools.lru_cache(maxsize=8)
def _dealing(dataset: Dataset) -> np.ndarray:
    """The order in which the held-out images are dealt, `(image,)`: one of every class, again and again."""
    labels = dataset.test_labels
    place = np.zeros(len(labels), int)
    for label in range(len(dataset.classes)):
        place[labels == label] = np.arange(np.sum(labels == label))
    return np.lexsort((labels, place))


def resampling(size: int, move: jax.Array, flip: jax.Array, side: jax.Array, place: jax.Array) -> jax.Array:
    """Weights `(trial, size, size)` that mirror an axis, crop it and then move it.

    The window covers `side` of the axis; `place` in [0, 1] is where, from one end to the other. Output i looks at

        s(i) = place (1 - side) size + (i - move + 1/2) side - 1/2

    of the mirrored axis, kept within it, as long as i - move lies within it; else its weights are 0.
    """
    last = size - 1
    at = jnp.arange(size)[None] - move[:, None]
    inside = (at >= 0) & (at <= last)
    at = (place * (1 - side) * size)[:, None] + (at + 0.5) * side[:, None] - 0.5
    at = jnp.clip(at, 0, last)
    at = jnp.where(flip[:, None], last - at, at)
    hats = jnp.maximum(0, 1 - jnp.abs(at[..., None] - jnp.arange(size)[None, None]))
    return jnp.where(inside[..., None], hats, 0)


def epoch_indices(key: jax.Array, step: Any, batch: int, size: int) -> jax.Array:
    """The examples of minibatch `step`: without replacement within an epoch, and without ever sorting one.

    Position p = step * batch + i of the endless stream belongs to epoch p // size, and holds the image of p % size
    under that epoch's own permutation of [0, size). The permutation is the swap-or-not shuffle (Hoang, Morris &
    Rogaway 2012, CRYPTO): in each round, with K uniform in [0, size) and F a random bit,

        x' = K - x mod size;    x <- x' where F(round, max(x, x')).

    x and x' share the bit, so each round is a bijection and so is the whole: every example comes exactly once per
    epoch, for any `size`, at the cost of the batch's positions only. There are 6 log2(size) rounds, at least 24.
    K and the rounds' keys are threefry's; F is murmur3's 32-bit finaliser (Appleby 2011): good enough to shuffle
    with, and not for secrets.

    Args:
      key: the stream's key, the same at every step.
      step: number of the minibatch, may be traced.
      batch: examples in a minibatch; it may straddle two epochs, or hold several.
      size: examples in an epoch, below 2^31.

    Returns:
      `(batch,)` int32 in [0, size). Positions wrap after 2^32 examples.
    """
    rounds = max(24, math.ceil(6 * math.log2(size)))
    position = jnp.uint32(step) * jnp.uint32(batch) + jnp.arange(batch, dtype=jnp.uint32)
    epoch, x = position // jnp.uint32(size), position % jnp.uint32(size)

    # The positions of a batch lie in this many neighbouring epochs at most.
    span = (batch + size - 2) // size + 1
    epochs = epoch[0] + jnp.arange(span, dtype=jnp.uint32)
    words = jax.vmap(lambda e: jax.random.bits(jax.random.fold_in(key, e), (rounds, 2)))(epochs)
    shifts, salts = words[..., 0] % jnp.uint32(size), words[..., 1]
    which = epoch - epoch[0]

    def swap_or_not(x, round_):
        shift, salt = (words_[which] for words_ in round_)
        partner = shift + jnp.uint32(size) - x
        partner = jnp.where(partner >= size, partner - jnp.uint32(size), partner)
        return jnp.where(_hash(jnp.maximum(x, partner) ^ salt) >> 31 == 1, partner, x), None

    x, _ = jax.lax.scan(swap_or_not, x, (shifts.T, salts.T))
    return x.astype(jnp.int32)


def _hash(x: jax.Array) -> jax.Array:
    """murmur3's finaliser: every input bit reaches every output bit."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
