"""What is known without a network: pixels, outlines, edge energy and categories; of sequences the input and the target.

A network that is less like a recording than one of these has explained less than it. Each enters a comparison as a
member of its own; see `analysis.activations.types.Outside`.
"""

from typing import Any

import numpy as np

from analysis.activations.types import RDM, Outside
from analysis.geometry.category_structure import usable
from zoo.data.datasets import LUMINANCE

__all__ = ["edge_energy", "of_images", "of_sequences", "outlines"]

SIDE = 64
"""Pixels of the images that edge energy is taken of."""
WAVELENGTHS = (4, 8, 16, 32)
"""Pixels in a period of the filters,"""
ORIENTATIONS = 8
"""and their orientations, evenly over half a turn."""


def of_images(inputs: np.ndarray, images: np.ndarray, conditions: dict[str, np.ndarray]) -> list[Outside]:
    """The baselines of images: pixels, silhouette where there is a ground, V1 model, and each condition with classes.

    Args:
      inputs: `(stimulus, height, width, channel)`, as the networks take them: the pixels.
      images: `(stimulus, height, width)` or `(stimulus, height, width, 3)`, levels 0 to 255.
      conditions: name -> one label per stimulus; of those with 2 to 50 classes of two stimuli or more the RDM is made,
        0 within a class and 1 between, which takes part in RSA only.
    """
    known: dict[str, Any] = {"pixels": inputs.reshape(len(inputs), -1)}
    if (masks := outlines(images)) is not None:
        known["silhouette"] = masks.reshape(len(masks), -1)
    known["V1 model"] = edge_energy(images)
    for name, classes in usable(conditions).items():
        known[name] = RDM(1 - classes.T.astype(np.float64) @ classes)
    return _members(known)


def of_sequences(inputs: np.ndarray, targets: np.ndarray | None = None) -> list[Outside]:
    """The baselines of sequences: the input and, where it is known, what the output should be, `(stimulus, time, unit)`
    each."""
    return _members({"input": inputs} if targets is None else {"input": inputs, "target": targets})


def _members(known: dict[str, Any]) -> list[Outside]:
    members = []
    for name, x in known.items():
        constant = not isinstance(x, RDM) and np.ptp(x, axis=0).max() == 0
        if not constant:
            labels = {"recording": name, "subject": "", "source": "baseline"}
            members.append(Outside(f"baseline/{name}", x, labels))
    return members


def outlines(images: np.ndarray) -> np.ndarray | None:
    """Where the object is: `(stimulus, height, width)`, 1 on the object and 0 on the ground; None without a ground.

    The ground is the commonest colour of all images' borders, and there is one where half of all border pixels have it.

    Args:
      images: `(stimulus, height, width)` or `(stimulus, height, width, 3)`, levels 0 to 255.
    """
    codes = np.stack([_codes(image) for image in images])
    border = np.concatenate([codes[:, 0], codes[:, -1], codes[:, 1:-1, 0], codes[:, 1:-1, -1]], axis=1)
    colours, counts = np.unique(border, return_counts=True)
    if 2 * counts.max() < border.size:
        return None
    return (codes != colours[counts.argmax()]).astype(np.float32)


def _codes(image: np.ndarray) -> np.ndarray:
    """A number for every colour, `(height, width)`."""
    levels = np.rint(image).astype(np.int32).reshape(*image.shape[:2], -1)
    return levels @ (256 ** np.arange(levels.shape[-1], dtype=np.int32))


def edge_energy(images: np.ndarray) -> np.ndarray:
    """A model of primary visual cortex: the energy of oriented edges at several scales, `(stimulus, unit)`.

    Complex cells as pairs of Gabor filters in quadrature (Adelson & Bergen 1985, J. Opt. Soc. Am. A 2:284),

        energy = sqrt((image * even)^2 + (image * odd)^2),
        even, odd = exp(-|x|^2 / (2 sigma^2)) cos(2 pi u / w), the same with sin(2 pi u / w),

    `*` convolution, w the wavelength, u the place across the edge, sigma = .56 w (a bandwidth of one octave), at places
    w / 2 apart; luminance in 64 x 64 pixels without its mean, which continues at the borders on the opposite side.

    Args:
      images: `(stimulus, height, width)` or `(stimulus, height, width, 3)`, levels 0 to 255.
    """
    rows, columns = (_resizing(size) for size in images.shape[1:3])
    grey = np.stack([rows @ (image @ LUMINANCE if image.ndim == 3 else image) @ columns.T / 255 for image in images])
    spectrum = np.fft.fft2(grey - grey.mean((1, 2), keepdims=True))
    axis = np.minimum(np.arange(SIDE), SIDE - np.arange(SIDE)) * np.where(np.arange(SIDE) < SIDE / 2, 1, -1)
    energies = []
    for wavelength in WAVELENGTHS:
        window = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * (0.56 * wavelength) ** 2))
        for angle in np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS:
            across = axis[:, None] * np.sin(angle) + axis * np.cos(angle)
            # One complex filter: its real part is the even one, its imaginary part the odd one. Neither sees the mean.
            gabor = window * np.exp(2j * np.pi * across / wavelength)
            gabor -= window * gabor.sum() / window.sum()
            energy = np.abs(np.fft.ifft2(spectrum * np.fft.fft2(gabor / np.abs(gabor).sum())))
            energies.append(energy[:, :: wavelength // 2, :: wavelength // 2].reshape(len(grey), -1))
    return np.concatenate(energies, axis=1).astype(np.float32)


def _resizing(size: int) -> np.ndarray:
    """Weights `(SIDE, size)` of linear interpolation, antialiased where that is smaller."""
    scale = size / SIDE
    at = (np.arange(SIDE)[:, None] + 0.5) * scale - 0.5
    weights = np.maximum(0, 1 - np.abs(at - np.arange(size)) / max(scale, 1))
    return weights / weights.sum(1, keepdims=True)
