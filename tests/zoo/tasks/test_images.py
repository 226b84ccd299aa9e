"""Image tasks: the shuffle that draws minibatches, augmentation, foreign stimuli, and images of one's own."""

import dataclasses
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from zoo.data import datasets
from zoo.data.datasets import Dataset
from zoo.tasks import cifar10, digits, fashion_mnist, images, mnist
from zoo.tasks._images import epoch_indices, resampling

# the shuffle


def _stream(key: jax.Array, steps: int, batch: int, size: int) -> np.ndarray:
    """The first `steps` minibatches, one after the other."""
    draw = jax.jit(jax.vmap(lambda step: epoch_indices(key, step, batch, size)))
    return np.asarray(draw(jnp.arange(steps))).reshape(-1)


@pytest.mark.parametrize(("size", "batch"), [(1, 3), (7, 3), (10, 25), (1438, 64)])
def test_each_epoch_is_a_permutation(size, batch):
    epochs = 4
    stream = _stream(jax.random.key(1), -(-epochs * size // batch), batch, size)[: epochs * size]
    for epoch in stream.reshape(epochs, size):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(size))


def test_epochs_and_keys_differ():
    size = 1438
    first, second = _stream(jax.random.key(0), 2, size, size).reshape(2, size)
    other = _stream(jax.random.key(1), 1, size, size)
    # Two independent permutations agree in one place on average.
    assert np.sum(first == second) < 8
    assert np.sum(first == other) < 8
    assert np.sum(first == np.arange(size)) < 8


@pytest.mark.parametrize("size", [5, 23])
def test_every_example_is_as_likely_at_every_position(size):
    draws = 4000
    keys = jax.random.split(jax.random.key(2), draws)
    orders = np.asarray(jax.jit(jax.vmap(lambda key: epoch_indices(key, 0, size, size)))(keys))
    counts = np.stack([np.bincount(orders[:, place], minlength=size) for place in range(size)])
    expected = draws / size
    freedom = (size - 1) ** 2
    chi2 = np.sum((counts - expected) ** 2) / expected
    assert abs(chi2 - freedom) < 4 * np.sqrt(2 * freedom)


def test_neighbours_are_independent():
    """Pairs of examples meet in a minibatch as often as chance has it."""
    size, draws = 12, 6000
    keys = jax.random.split(jax.random.key(3), draws)
    pairs = np.asarray(jax.jit(jax.vmap(lambda key: epoch_indices(key, 0, 2, size)))(keys))
    counts = np.bincount(pairs[:, 0] * size + pairs[:, 1], minlength=size**2).reshape(size, size)
    apart = ~np.eye(size, dtype=bool)
    expected, freedom = draws / apart.sum(), apart.sum() - 1
    assert counts[~apart].sum() == 0
    assert abs(np.sum((counts[apart] - expected) ** 2) / expected - freedom) < 4 * np.sqrt(2 * freedom)


def test_swap_or_not_follows_its_definition():
    """Against a plain rendering of the paper's loop, with Python's unbounded integers."""
    key, size, batch, step = jax.random.key(4), 1000, 8, 124  # the last minibatch of epoch 0 ends at 1000

    def finaliser(x):
        x = (x ^ x >> 16) * 0x85EBCA6B % 2**32
        x = (x ^ x >> 13) * 0xC2B2AE35 % 2**32
        return x ^ x >> 16

    words = np.asarray(jax.random.bits(jax.random.fold_in(key, 0), (60, 2))).tolist()  # 6 log2(1000) = 59.8
    expected = []
    for x in range(step * batch, step * batch + batch):
        for shift, salt in words:
            partner = (shift - x) % size
            x = partner if finaliser(max(x, partner) ^ salt) >> 31 else x
        expected.append(x)
    assert epoch_indices(key, step, batch, size).tolist() == expected


def test_shuffle_is_the_same_traced_mapped_and_late():
    key, size, batch = jax.random.key(5), 60_000, 32
    steps = jnp.array([0, 1874, 1875, 2_000_000])
    one = jax.jit(lambda step: epoch_indices(key, step, batch, size))
    single = jnp.stack([one(step) for step in steps])
    eager = epoch_indices(key, 1875, batch, size)
    mapped = jax.jit(lambda key: jax.lax.map(lambda step: epoch_indices(key, step, batch, size), steps))(key)
    np.testing.assert_array_equal(single, mapped)
    np.testing.assert_array_equal(eager, mapped[2])
    assert eager.dtype == mapped.dtype == jnp.int32
    assert 0 <= int(mapped.min()) <= int(mapped.max()) < size


# augmentation


@dataclasses.dataclass(frozen=True)
class Small(cifar10.Task):
    """CIFAR-10 with a thousand images to train on and as many to test."""

    train_size = 1000  # pyright: ignore
    test_size = 1000


@pytest.fixture(scope="module")
def colours() -> dict[str, np.ndarray]:
    """Random images, as the data of `Small`."""
    pixels = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 3), dtype=np.uint8)
    return {"images": pixels, "labels": np.arange(2000, dtype=np.int32) % 10}


def pairs(task, data, batch: int = 64, step: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Minibatches of equal images: as they are, and augmented."""
    plain = dataclasses.replace(task, shift=0.0, flip=0.0, crop=0.0)
    draws = (jax.jit(lambda data, t=t: t.sample(jax.random.key(1), batch, step, data)) for t in (plain, task))
    one, other = (draw(data) for draw in draws)
    np.testing.assert_array_equal(one.targets, other.targets)
    return np.asarray(one.inputs), np.asarray(other.inputs)


def black(task) -> np.ndarray:
    return ((0 - np.asarray(task.mean)) / np.asarray(task.deviation)).astype(np.float32)


def moved(image: np.ndarray, down: int, right: int, ground: np.ndarray) -> np.ndarray:
    """An image `(height, width, channel)` moved by whole pixels, by plain copying."""
    out = np.broadcast_to(ground, image.shape).copy()
    height, width = image.shape[:2]
    for y in range(height):
        for x in range(width):
            if 0 <= y - down < height and 0 <= x - right < width:
                out[y, x] = image[y - down, x - right]
    return out


def test_a_shift_moves_by_every_whole_number_alike_and_copies_pixels_exactly(colours):
    task = Small(shift=2.0)
    plain, shifted = pairs(task, colours, batch=512)
    found = []
    for image, other in zip(plain, shifted, strict=True):
        # The first pixels that are not ground say how far an image went.
        kept = np.any(other != black(task), axis=-1)
        rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
        down, right = (int(at[0] or at[-1] - 31) for at in (rows, columns))
        np.testing.assert_array_equal(other, moved(image, down, right, black(task)))
        found.append((down, right))
    cells = np.array(found) + 2
    counts = np.bincount(cells[:, 0] * 5 + cells[:, 1], minlength=25)
    assert len(counts) == 25
    assert np.sum((counts - 512 / 25) ** 2 / (512 / 25)) < 24 + 4 * np.sqrt(48)


def test_of_a_shift_the_whole_part_counts(colours):
    plain, shifted = pairs(Small(shift=0.9), colours)
    np.testing.assert_array_equal(plain, shifted)
    _, whole = pairs(Small(shift=1.0), colours)
    _, more = pairs(Small(shift=1.9), colours)
    np.testing.assert_array_equal(whole, more)


@pytest.mark.parametrize("probability", [0.25, 1.0])
def test_a_flip_mirrors_left_and_right_exactly_as_often_as_asked(colours, probability):
    plain, flipped = pairs(Small(flip=probability), colours, batch=512)
    mirrored = np.array([np.array_equal(a[:, ::-1], b) for a, b in zip(plain, flipped, strict=True)])
    same = np.array([np.array_equal(a, b) for a, b in zip(plain, flipped, strict=True)])
    assert np.all(mirrored ^ same)
    assert abs(mirrored.mean() - probability) <= 4 * np.sqrt(probability * (1 - probability) / 512)


def cropped(image: np.ndarray, side: float, top: float, left: float) -> np.ndarray:
    """A window of an image `(height, width, channel)` resized to the image: one axis after the other, by np.interp."""
    for axis, start in ((0, top), (1, left)):
        size = image.shape[axis]
        at = start * size * (1 - side) + (np.arange(size) + 0.5) * side - 0.5
        image = np.apply_along_axis(lambda line, at=at, n=size: np.interp(at, np.arange(n), line), axis, image)
    return image


def test_a_crop_is_a_window_within_the_image_resized_bilinearly(colours):
    task, batch, step = Small(crop=0.4), 64, 3
    plain, windows = pairs(task, colours, batch, step)
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(1), 0x1A6E0001), step)
    _, _, _, u, top, left = np.asarray(jax.random.uniform(key, (6, batch)), np.float64)
    for i in range(batch):
        np.testing.assert_allclose(windows[i], cropped(plain[i], 1 - 0.4 * u[i], top[i], left[i]), atol=1e-5)


def test_all_three_together_mirror_then_crop_then_move():
    size, move, side, place = 9, 2, 0.5, 0.25
    image = np.random.default_rng(2).normal(size=(size, 1, 1))
    arrays = (jnp.array([value]) for value in (float(move), True, side, place))
    weights = np.asarray(resampling(size, *arrays))[0]
    expected = moved(cropped(image[::-1], side, place, 0.0), move, 0, np.zeros(1))
    np.testing.assert_allclose(weights @ image[:, 0, 0], expected[:, 0, 0], atol=1e-6)


def test_strength_zero_inside_a_program_is_no_augmentation_and_more_is_more(colours):
    def sample(shift, flip, crop):
        task = Small(shift=shift, flip=flip, crop=crop)
        return task.sample(jax.random.key(1), 64, 3, colours).inputs

    strengths = jnp.array([0.0, 1.0, 3.0])
    found = jax.jit(jax.vmap(sample))(strengths, strengths / 4, strengths / 4)
    plain, _ = pairs(Small(), colours)
    np.testing.assert_array_equal(found[0], plain)
    away = np.mean(np.square(found - plain[None]), axis=(1, 2, 3, 4))
    assert away[0] < 0.1 < away[1] < away[2]


@pytest.mark.parametrize("field", ["shift", "flip", "crop"])
def test_what_is_off_is_not_compiled(colours, field):
    def program(task):
        return str(jax.make_jaxpr(lambda key: task.sample(key, 8, 0, colours).inputs)(jax.random.key(0)))

    off = Small()
    assert "dot_general" not in program(off)
    assert "dot_general" in program(dataclasses.replace(off, **{field: 0.5}))


def test_augmentation_reaches_neither_the_evaluation_set_nor_the_probe(colours):
    for part in ("evaluation", "probe"):
        found = []
        for strength in (0.0, 0.9):
            task = Small(flip=strength, crop=strength, shift=2 * strength)
            found.append(np.asarray(getattr(task, part)(colours).inputs))
        np.testing.assert_array_equal(*found)


def test_augmentation_depends_on_key_and_step_alone_and_changes_from_epoch_to_epoch(colours):
    same = {**colours, "images": np.broadcast_to(colours["images"][:1], colours["images"].shape)}
    task = Small(shift=2.0, flip=0.5, crop=0.2)
    draw = jax.jit(lambda key, step: task.sample(key, 16, step, same).inputs)
    first = draw(jax.random.key(1), 5)
    np.testing.assert_array_equal(first, draw(jax.random.key(1), 5))
    for other in (draw(jax.random.key(1), 6), draw(jax.random.key(2), 5)):
        assert np.all(np.any(first != other, axis=(1, 2, 3)))
    assert len(np.unique(np.reshape(first, (16, -1)), axis=0)) == 16


# stimuli of others


def test_stimuli_of_the_tasks_own_size_are_scaled_as_its_images(colours):
    pixels = colours["images"][:7]
    found = cifar10.Task().stimuli(pixels)
    expected = (pixels / 255 - np.array([0.4914, 0.4822, 0.4465])) / np.array([0.2470, 0.2435, 0.2616])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.dtype == jnp.float32


def test_stimuli_become_grey_by_luminance_and_coloured_by_three_equal_channels(colours):
    pixels = np.repeat(np.repeat(colours["images"][:3, ::4, ::4], 4, axis=1), 4, axis=2)  # (3, 32, 32, 3)
    luminance = pixels @ np.array([0.299, 0.587, 0.114])
    grey = digits.Task().stimuli(pixels)
    assert grey.shape == (3, 8, 8, 1)
    means = luminance.reshape(3, 8, 4, 8, 4).mean(axis=(2, 4))  # each pixel is 4 x 4 equal ones: hats blur little
    inner = np.asarray(grey[..., 0] * 0.376 + 0.305) * 255
    assert np.corrcoef(inner.ravel(), means.ravel())[0, 1] > 0.9
    uniform = np.full((1, 50, 60, 3), (200, 100, 50), np.uint8)
    level = (0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255
    np.testing.assert_allclose(mnist.Task().stimuli(uniform), (level - 0.1307) / 0.3081, atol=1e-5)
    coloured = cifar10.Task().stimuli(pixels[..., 0])
    raw = np.asarray(coloured) * np.array([0.2470, 0.2435, 0.2616]) + np.array([0.4914, 0.4822, 0.4465])
    np.testing.assert_allclose(raw, np.repeat(pixels[..., :1] / 255, 3, axis=-1), atol=1e-5)


def test_stimuli_are_antialiased_where_they_shrink():
    """A chessboard of single pixels becomes an even grey, not stripes."""
    board = (np.indices((1, 175, 175)).sum(axis=0) % 2 * 255).astype(np.uint8)
    found = np.asarray(mnist.Task().stimuli(board)) * 0.3081 + 0.1307
    assert found.shape == (1, 28, 28, 1)
    np.testing.assert_allclose(found[0, 1:-1, 1:-1], 0.5, atol=0.02)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 9, 9)), np.zeros((9, 9), np.uint8), np.zeros((2, 9, 9, 4), np.uint8), np.zeros((0, 9, 9), np.uint8)],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_wrong_stimuli_are_one_sentence(wrong):
    with pytest.raises(ValueError, match=r"^mnist's stimuli: images must be uint8 of shape .*; found") as error:
        mnist.Task().stimuli(wrong)
    assert str(wrong.shape) in str(error.value)


# data


def test_equal_tasks_hand_out_the_same_arrays(monkeypatch):
    made = []

    def load(name, data_dir=None, batches=5):
        arrays = (array for n in (40, 20) for array in (np.zeros((n, 2, 2)), np.arange(n) % 10))
        made.append(Dataset(*arrays, tuple("0123456789")))
        return made[0]

    monkeypatch.setattr(datasets, "load", load)
    first, second = mnist.Task().data(), mnist.Task(shift=1.0, probe_images=10).data()
    assert first["images"] is second["images"]
    assert first["labels"] is second["labels"]
    with pytest.raises(ValueError, match="read-only"):
        first["labels"][0] = 1


def test_cifar_asks_for_the_batches_it_uses(monkeypatch):
    asked = []
    monkeypatch.setattr(datasets, "load", lambda name, data_dir=None, batches=5: asked.append((name, batches)))
    cifar10.Task(batches=3).dataset()
    assert asked == [("cifar10", 3)]
    assert (cifar10.Task(batches=3).train_size, cifar10.Task().train_size) == (30_000, 50_000)


@pytest.mark.parametrize("module", [mnist, fashion_mnist, cifar10, digits])
def test_a_probe_must_hold_every_class_alike(module):
    assert module.Task().classes[3]
    with pytest.raises(ValueError, match=f"{module.__name__[10:]}: probe_images=15 must be a multiple of 10"):
        module.Task(probe_images=15)


# images of one's own


def written(path, count: int = 60, shape: tuple[int, ...] = (5, 7), classes: int = 3, **other) -> str:
    random = np.random.default_rng(3)
    arrays = {
        "images": random.integers(0, 256, (count, *shape), dtype=np.uint8),
        "labels": np.arange(count) * classes // count,  # sorted, as such files often are
        **other,
    }
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return str(path)


@pytest.mark.parametrize(("shape", "inputs"), [((5, 7), (5, 7, 1)), ((5, 7, 3), (5, 7, 3))])
def test_a_file_of_images_makes_a_task(tmp_path, shape, inputs):
    task = images.Task(file=written(tmp_path / "mine.npz", shape=shape), test=0.25)
    assert (task.input_shape, task.outputs, task.chance, task.classes) == (inputs, 3, 1 / 3, ("0", "1", "2"))
    assert (task.train_size, task.test_size) == (45, 15)
    data = task.data()
    with np.load(task.file) as file:
        mine = sorted(i.tobytes() + bytes([y]) for i, y in zip(file["images"], file["labels"], strict=True))
    assert mine == sorted(i.tobytes() + bytes([y]) for i, y in zip(data["images"], data["labels"], strict=True))
    assert np.bincount(data["labels"][45:]).tolist() == [5, 5, 5]
    assert set(data["labels"][:15]) == {0, 1, 2}  # sorted in the file, shuffled here
    assert task.data()["images"] is data["images"]
    training = task.sample(jax.random.key(0), 45, 0, data).inputs
    np.testing.assert_allclose(np.mean(training, axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(np.std(training, axis=(0, 1, 2)), 1, atol=1e-5)
    assert np.bincount(task.probe(data).targets).tolist() == [5, 5, 5]
    assert task.evaluation(data).inputs.shape == (15, *inputs)
    assert task.stimuli(np.zeros((2, 9, 9), np.uint8)).shape == (2, *inputs)


def test_the_held_out_images_follow_from_the_file_and_the_share_alone(tmp_path):
    file = written(tmp_path / "mine.npz")
    labels = [images.Task(file=file, **fields).data()["labels"] for fields in ({}, {"flip": 0.5}, {"test": 0.5})]
    np.testing.assert_array_equal(labels[0], labels[1])
    assert images.Task(file=file, test=0.5).test_size == 30


def test_every_class_is_held_out_and_trained_on_however_small(tmp_path):
    labels = np.array([0] * 20 + [1, 1])
    file = written(tmp_path / "mine.npz", count=22, labels=labels)
    for share in (0.01, 0.2, 0.99):
        data = (task := images.Task(file=file, test=share)).data()
        assert set(data["labels"][: task.train_size]) == set(data["labels"][task.train_size :]) == {0, 1}


def test_a_file_that_was_written_again_is_read_again(tmp_path):
    task = images.Task(file=written(tmp_path / "mine.npz"))
    assert task.outputs == 3
    written(tmp_path / "mine.npz", classes=4)
    os.utime(task.file, (1, 1))
    assert task.outputs == 4


def test_without_a_file_a_task_can_be_made_but_not_used():
    task = images.Task()
    for use in (task.data, lambda: task.input_shape, lambda: task.outputs, task.probe):
        with pytest.raises(ValueError, match=r"images: the task needs a file, .* --task.file PATH"):
            use()


OBJECTS = np.array([{}, {}], dtype=object)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"images": None}, "found no `images`"),
        ({"labels": None}, "found no `labels`"),
        ({"images": np.zeros((60, 5, 7))}, "images must be uint8 of shape .*; found float64"),
        ({"images": np.zeros((60, 5), np.uint8)}, "images must be uint8 of shape .*; found uint8"),
        ({"labels": np.zeros(59, int)}, "labels must be 60 integers"),
        ({"labels": np.ones(60, int) * 2}, "every class from 0 to 2 must have an image; found none of 0, 1"),
        ({"labels": np.full(60, -1)}, "labels must lie in 0 to 59; found -1 to -1"),
        ({"labels": np.zeros(60, int)}, "must be two classes or more"),
        ({"labels": np.arange(60) // 59}, "with two images or more each; found 2 and 1 of class 1"),
        ({"images": np.full((60, 5, 7), 9, np.uint8)}, "must differ from a blank"),
        ({"labels": np.array([{}] * 60, dtype=object)}, "cannot be read: Object arrays cannot be loaded"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path, other, words):
    file = written(tmp_path / "mine.npz", **other)
    with pytest.raises(ValueError, match=words) as error:
        images.Task(file=file).data()
    assert str(error.value).startswith(file)
    assert "\n" not in str(error.value)


def test_what_is_no_file_of_arrays_is_one_sentence(tmp_path):
    good = (tmp_path / "good.npz", written(tmp_path / "good.npz"))[0].read_bytes()
    array = tmp_path / "array.npy"
    np.save(array, np.zeros(3))
    middle = good[:200] + bytes(200) + good[400:]
    contents = {"cut": good[:-100], "text": b"hello", "empty": b"", "array": array.read_bytes(), "damaged": middle}
    for name, raw in contents.items():
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(ValueError, match=f"^{tmp_path / name} must be an .npz file .*; it cannot be read: ."):
            images.Task(file=str(tmp_path / name)).data()
    with pytest.raises(ValueError, match=r"images: the file .*/none.npz cannot be read: No such file"):
        images.Task(file=str(tmp_path / "none.npz")).data()
    with pytest.raises(ValueError, match="cannot be read: "):
        images.Task(file=str(tmp_path)).data()


def test_a_probe_of_ones_own_images_is_checked_against_the_file(tmp_path):
    file = written(tmp_path / "mine.npz")
    assert len(images.Task(file=file, probe_images=6).probe().inputs) == 6
    for number in (7, 15):
        with pytest.raises(ValueError, match=f"probe_images={number} must be a multiple of 3, .* and at most 12"):
            images.Task(file=file, probe_images=number).probe()
