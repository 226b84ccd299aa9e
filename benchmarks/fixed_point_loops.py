"""The usual search for fixed points, one network after the other, in JAX and in PyTorch: what `dynamics.py` compares.

Settings of the field's tool (Golub & Sussillo 2018, JOSS 3:1003; its version for PyTorch), in code of our own.
"""

from typing import Any

import numpy as np

TOL_Q, TOL_DQ, MAX_ITERS, TOL_UNIQUE, OUTLIER = 1e-12, 1e-20, 5000, 1e-3, 10.0
RATE, DECAY, DECAY_STEPS = 0.05, 0.7, 500


def cell_step(cell: str, weights: Any, h: Any, tanh: Any, sigmoid: Any) -> Any:
    """A time step without input, of arrays of JAX, PyTorch or NumPy; weights as `problem` has them."""
    z = h @ weights["recurrent"]
    if cell == "vanilla":
        return tanh(z + weights["drive"])
    units = h.shape[-1]
    r, u, n = (slice(i * units, (i + 1) * units) for i in range(3))
    drive = weights["drive"]
    reset, update = sigmoid(z[..., r] + drive[r]), sigmoid(z[..., u] + drive[u])
    candidate = tanh(drive[n] + reset * (z[..., n] + weights["bias"]))
    return candidate + update * (h - candidate)


def of_one(problem: Any, member: int) -> dict[str, np.ndarray]:
    """The weights of one network."""
    return {name: problem[name][member] for name in ("recurrent", "drive", "bias")}


def kept(ends: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The ends that are not within `TOL_UNIQUE` of one before, nor far away."""
    unique: list[np.ndarray] = []
    for end in ends[np.isfinite(ends).all(1)]:
        if not unique or np.linalg.norm(np.array(unique) - end, axis=1).min() >= TOL_UNIQUE:
            unique.append(end)
    rows, centre = np.array(unique).reshape(-1, ends.shape[1]), starts.mean(0)
    usual = np.linalg.norm(starts - centre, axis=1).mean()
    return rows[np.linalg.norm(rows - centre, axis=1) < OUTLIER * usual]


def jax_loop(cell: str) -> Any:
    """From weights and starts to unique ends, with one program for all networks."""
    import jax
    import jax.numpy as jnp
    import optax

    schedule = optax.exponential_decay(RATE, DECAY_STEPS, DECAY, staircase=True)
    optimizer = optax.adam(schedule)

    def step(weights: Any, h: Any) -> Any:
        return cell_step(cell, weights, h, jnp.tanh, jax.nn.sigmoid)

    def loss(x: Any, weights: Any) -> Any:
        q = jnp.sum((step(weights, x) - x) ** 2, -1) / 2
        return q.mean(), q

    @jax.jit
    def descend(weights: Any, starts: Any) -> Any:
        def further(carry: Any) -> Any:
            count, x, moments, before, _ = carry
            (_, q), gradient = jax.value_and_grad(loss, has_aux=True)(x, weights)
            updates, moments = optimizer.update(gradient, moments)
            done = jnp.all((q < TOL_Q) | (jnp.abs(q - before) < TOL_DQ))
            return count + 1, optax.apply_updates(x, updates), moments, q, done

        before = jnp.full(len(starts), jnp.inf)
        begin = 0, starts, optimizer.init(starts), before, jnp.array(False)
        count, ends, *_ = jax.lax.while_loop(lambda carry: (carry[0] < MAX_ITERS) & ~carry[4], further, begin)
        return ends, count

    jacobians = jax.jit(jax.vmap(jax.jacrev(step, argnums=1), (None, 0)))

    def search(weights: Any, starts: np.ndarray) -> tuple[np.ndarray, int]:
        ends, count = descend(weights, starts)
        unique = kept(np.asarray(ends), starts)
        padded = np.resize(unique, starts.shape) if len(unique) else starts  # one shape, one program
        np.linalg.eig(np.asarray(jacobians(weights, padded))[: len(unique)])
        return unique, int(count)

    return search


def torch_loop(cell: str) -> Any:
    """The same in PyTorch, step by step; on one thread, since two wait for each other at products as small as these."""
    import torch

    torch.set_num_threads(1)

    def search(weights: Any, starts: np.ndarray) -> tuple[np.ndarray, int]:
        fixed = {name: torch.from_numpy(array) for name, array in weights.items()}

        def step(h: Any) -> Any:
            return cell_step(cell, fixed, h, torch.tanh, torch.sigmoid)

        x = torch.from_numpy(starts.copy()).requires_grad_()
        optimizer = torch.optim.Adam([x], RATE)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, DECAY_STEPS, DECAY)
        before, count = torch.full((len(starts),), torch.inf), 0
        while count < MAX_ITERS:
            count += 1
            optimizer.zero_grad()
            q = torch.sum((step(x) - x) ** 2, -1) / 2
            q.mean().backward()
            optimizer.step()
            scheduler.step()
            now = q.detach()
            if bool(((now < TOL_Q) | ((now - before).abs() < TOL_DQ)).all()):
                break
            before = now
        unique = kept(x.detach().numpy(), starts)
        jacobian = torch.func.vmap(torch.func.jacrev(step))(torch.from_numpy(unique))
        np.linalg.eig(jacobian.numpy())
        return unique, count

    return search
