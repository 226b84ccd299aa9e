"""Measures of representational similarity, one family per file; the file's name is the family's name.

The contract of a measure, a frozen dataclass `Measure` whose fields are its choices and make its name:

- `name`: `cka(kernel=linear, debiased)`: every choice, as the result's label. `words` are the bare words in it,
  `debiased` -> (field, value), so that a name reads back as the measure.
- `kind`: "similarity" (1 is identical), "distance" (0 is identical, triangle inequality holds) or "score".
- `symmetric`; `identity`: the value of a representation with itself; `takes`: what it accepts; `estimator`: what is
  estimated, in words; `least`: the fewest stimuli; `invariances`: what one may do to a representation without
  changing the value.
- `chance(state_a, state_b)`: the value of unrelated representations, a number or one per pair;
  `chance_sd(stimuli, rows)`: its standard deviation, None where there is no closed form.
- `prepare(x)` makes the state of a group of members that share a shape: `x` is `(member, stimulus, time, unit)`
  (one time step where there is no time) and every array of the state has the member axis first and is
  O(stimuli x time x units + stimuli x time^2), never O((stimuli x time)^2).
- An *Inner* measure is a Frobenius inner product of one map per member, rows (stimulus, time) by columns
  (stimulus, time). `left(state, p, q)` gives the block of stimuli `p` by stimuli `q`, `(member, entry)`; `right` is
  the same unless the measure is directed; `finish(inner, state_a, state_b)` turns the summed inner products into
  values. Before it the engine adds to the state each member's inner product with itself, as `self`, and, where the
  measure has `totals`, the sums of its map, as `total`.

Only the engine, `analysis/pairwise.py`, knows how many members, groups and blocks there are: it walks the blocks, all
Inner measures of a request together.
"""
