"""Measures of representational similarity, one family per file; the file's name is the family's name.

The contract of a measure, a frozen dataclass `Measure` (of `_family.Family`) whose fields are its choices and make
its name:

- `name`: `cka(kernel=linear, debiased)`: every choice, as the result's label. `words` are the bare words in it,
  `debiased` -> (field, value), so that a name reads back as the measure.
- `kind`: "similarity" (1 is identical), "distance" (0 is identical, triangle inequality holds) or "score" (higher is
  better). `is_metric`: whether a distance, or the angle `arccos` of a similarity, keeps the triangle inequality between
  representations of any widths. `symmetric`: if not, element [a, b] reads "a predicts b". `identity`: the value of a
  representation with itself, NaN where it is not one number. `estimator`: what is estimated, in words; `least`: the
  fewest stimuli; `invariances`: what one may do to a representation without changing the value.
- `takes`: what it is made for: "patterns" (one row a stimulus), "trajectories", "repeats", "rdms". A measure that does
  not take "repeats" is given their mean; a ready RDM takes part only where "rdms" are taken.
- `fault(stimuli, times, units)`: why it cannot be had of representations of this size, with the fix, or "".
- `time`: how time enters, a field; "samples" makes (stimulus, time) rows, all else leaves one row per stimulus.
- `chance(state_a, state_b)`: the value of unrelated representations, a number or one per pair, NaN where unknown;
  `chance_sd(stimuli, rows)`: its standard deviation, None where there is no closed form.
- `prepare(x)` makes the state of a group of members that share a shape: `x` is `(member, stimulus, time, unit)`
  (one time step where there is no time) and every array of the state has the member axis first and is
  O(stimuli x time x units + stimuli x time^2 + units^2), never O((stimuli x time)^2). `prepare_repeats(x)`, of
  `(member, repeat, stimulus, time, unit)`, and `prepare_rdms(d)`, of `(member, stimulus, stimulus)`, stand beside it
  where `takes` says so.
- `extras`: names of what comes with each value, such as the penalty that was chosen: `finish` and `tile` then return
  the values and these, each `(a, b)`.

Then one of two forms:

- *Inner* (`form = "inner"`): a Frobenius inner product of one map per member, rows (stimulus, time) by columns
  (stimulus, time). `left(state, p, q)` gives the block of stimuli `p` by stimuli `q`, `(member, entry)`; maps are
  symmetric, so that only blocks on and above the diagonal are asked for; `p` and `q` are indices or a `Span` of
  stimuli, which `_family.some` and `index` read. `right` is the same unless the measure is
  directed; a directed measure's `left` may hold several maps per member, `(member * maps, entry)`, one for each
  penalty. `finish(inner, state_a, state_b)` turns the summed inner products into values. Before it the engine adds to
  the state of a symmetric measure each member's inner product with itself, as `self`, and, where the measure has
  `totals`, the sums of its map, as `total`. A measure whose map is `F F'` but for some correction may have
  `factor(state)`, `(member, row, unit)`, and `corrected(products, state_a, state_b)`, which turns the `|F_a' F_b|^2`
  into the inner products of the maps: cheaper where there are many more rows than units.
- *Pair* (`form = "pair"`): `tile(state_a, state_b)` gives all values `(a, b)` of some members with some others.
  `cost(state_a, state_b)` is the number of bytes that one pair needs inside it. It is compiled unless `host` is set,
  which says that it is NumPy code. `pads` says that units of zeros change nothing: groups of different width then
  share a program.

Only the engine, `analysis/engine/all_pairs.py`, knows how many members, groups and blocks there are: it walks the
blocks, all Inner measures of a request together, and fills the tiles of the Pair measures.
"""
