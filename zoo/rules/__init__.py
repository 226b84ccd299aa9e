"""Learning rules, one per file, each a frozen dataclass `Rule`; the file's name is the rule's name.

The contract of a rule: `gradient(objective, params) -> ((loss, aux), updates)`, where `objective(params)` gives
`(loss, aux)` and is a pure function of one member on one batch, and `updates` has the shape of `params` and stands
where a gradient would.
"""
