"""What decides the bits of a result beside the spec."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What decides the bits of a result beside the spec.

    Attributes:
      block: members that one call advances on one device; a cohort is padded to whole blocks.
      inner: how a block runs inside: "map" (one by one), "vmap" (all at once), or the size of vmapped groups.
      conv_form: how convolutions are written: "native", or "columns" (shifted slices and one matrix product).
      threads: size of XLA's CPU thread pool, which decides how a product is split; 0 on other devices.
      llvm: optimisation level of XLA's CPU compiler; other devices ignore it. Level 1 takes a fifth off the compilation
        of a training program, more than half off that of initial parameters, and the program is as fast within 3 %.
    """

    block: int
    inner: str | int
    conv_form: str
    threads: int
    llvm: int = 1


def with_block(recipe: Recipe, block: int) -> Recipe:
    """The recipe with another block; groups become the largest that divide it: a remainder would change bits."""
    inner = recipe.inner
    if isinstance(inner, int):
        inner = next(g for g in range(min(inner, block), 0, -1) if block % g == 0)
    return dataclasses.replace(recipe, block=block, inner=inner)
