"""The zoo directory while it is read: members, curves, parameters. Arrays are read row by row, on no accelerator."""

import functools
import io
import operator
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models import Network
from zoo import files, lookup, wording
from zoo.buckets import BucketError, is_remote
from zoo.spec.encoding import described
from zoo.spec.member import MEMBER_COLUMNS, Member
from zoo.spec.settings import score_level
from zoo.spec.zoo import Zoo
from zoo.store.checkpoints import BlockFolder, block_folders, leaf_path
from zoo.store.manifest import begun_from, read_manifest, zoo_of
from zoo.store.members import member_table, refreshed
from zoo.store.regrouping import Place, places_of
from zoo.store.sealing import MENDS
from zoo.training.status import PENDING_WORD, RUNNING, UNFINISHED

if TYPE_CHECKING:
    from zoo.spec.settings import Training
    from zoo.tasks import Task


class Trained:
    """A zoo directory that is being read.

    Attributes:
      path: the directory.
      manifest: what it says of itself, `zoo.store.manifest.read_manifest`.
    """

    def __init__(self, directory: str | os.PathLike[str]):
        self.path = files.directory(directory) if is_remote(directory) else Path(directory)
        self.manifest = read_manifest(self.path)
        self._states: dict[str, Any] = {}  # cohort -> paths of the leaves of its rule's state, and their tree

    @functools.cached_property
    def members(self) -> pd.DataFrame:
        """One row per member: member, cohort, task, model, seed, status, steps, loss, score, every varied field."""
        table, cohorts = self.written(), self.manifest["cohorts"]
        if table is None or len(table) != sum(entry["members"] for entry in cohorts.values()):
            return self._table()
        if not set(UNFINISHED) & set(table["status"]):
            return table
        # Somebody may have trained since the table was written. What counts as solved is known without the tasks, which
        # need JAX, of every cohort that was begun, except in directories of earlier versions.
        solved = {c: entry["solved"] for c, entry in cohorts.items() if entry["solved"] is not None}
        waiting = {c for c, entry in cohorts.items() if entry["recipe"] is None}
        if set(table["cohort"]) <= solved.keys() | waiting:
            current = refreshed(self.path, table, solved)
            if not set(current.loc[current["status"] != PENDING_WORD, "cohort"]) & waiting:  # begun just now
                return current
        return self._table()

    def _table(self) -> pd.DataFrame:
        """The member table, made anew."""
        return member_table(self.path, self.zoo, begins=begun_from(self.manifest))

    def written(self) -> pd.DataFrame | None:
        """The content of `members.csv`, which may be old; None where there is none."""
        file = self.path / "members.csv"
        try:
            table = pd.read_csv(
                io.BytesIO(files.read(file)), keep_default_na=False, na_values=[""]
            )  # a task may be "NA"
        except FileNotFoundError:
            return None
        except BucketError:
            raise
        except (ValueError, OSError) as error:  # pandas' errors are ValueErrors
            why = wording.first_line(error)
            raise ValueError(f"{file} cannot be read ({why}); remove it: it is made again.") from None
        if missing := [c for c in MEMBER_COLUMNS if c not in table.columns]:
            raise ValueError(f"{file} cannot be read (it has no column {missing[0]}); remove it: it is made again.")
        return table

    @functools.cached_property
    def zoo(self) -> Zoo:
        """The spec."""
        return zoo_of(self.manifest, self.path)

    @functools.cached_property
    def _places(self) -> dict[str, Place]:
        return places_of(self.path)

    def member(self, member: str) -> Member:
        """The spec of one member; a ValueError with the nearest ids where there is none."""
        known = self.zoo.by_id
        if member not in known:
            raise ValueError(f"{self.path} has no member {member!r}; {lookup.nearest(member, known)}.")
        return known[member]

    def fields_of(self, member: str) -> dict[str, Any]:
        """Task, model and training of a member, its rule where that is not the default, each field -> value, and its
        seed, as `zoo.json` has them: read without the classes, which need JAX. So a field that was declared with
        `models.since` is not there at its default. A ValueError with the nearest ids where there is no such member."""
        specs = [self.manifest["spec"], *self.manifest.get("retries", [])]
        if (fields := described(specs, member)) is None:
            raise ValueError(f"{self.path} has no member {member!r}; {lookup.nearest(member, self.members['member'])}.")
        return fields

    def task(self, member: str) -> "Task":
        """The task of a member."""
        return self.member(member).task

    def model(self, member: str) -> Network:
        """The model of a member, ready for `apply`: sizes, dt and convolution form filled in."""
        from zoo.training.binding import bound_model

        spec = self.member(member)
        cohort = self.members.set_index("member").at[member, "cohort"]
        recipe = self.manifest["cohorts"][cohort]["recipe"] or {}
        return bound_model(spec.model, spec.task, conv_form=recipe.get("conv_form", "columns"))

    def recipe(self, cohort: str) -> dict[str, Any]:
        """What a cohort was trained with.

        Raises:
          ValueError: the directory does not say.
        """
        if cohort not in self.manifest["cohorts"]:
            raise ValueError(
                f"Cohort {cohort} is none of those in {self.path}: a field of its task, model or rule was declared "
                "otherwise when it was trained."
            )
        recipe = self.manifest["cohorts"][cohort]["recipe"]
        if recipe is None:
            raise ValueError(f"{self.path} has lost the folder of cohort {cohort}; `verify` says what is missing.")
        return recipe

    def with_checkpoint(self, members: Iterable[str], at: str | int = "last") -> list[str]:
        """Those of some members of which there is a checkpoint; at a score level, those that have reached it.

        Raises:
          ValueError: the level is none at which members of this zoo are kept.
        """
        trained, level = [member for member in members if member in self._places], score_level(at)
        if level is None:
            return trained
        known = self.zoo.by_id
        levels = sorted({kept for member in known.values() for kept in member.training.score_levels})
        if level not in levels:
            kept = ", ".join(map(str, levels)) or "none"
            raise ValueError(f"at is {at!r}; the scores in Training.score_levels of {self.path} are {kept}.")
        reached = self.reached(level).index
        return [m for m in trained if level in known[m].training.score_levels and m in reached]

    def reached(self, score: float) -> pd.Series:
        """Member -> step of the first evaluation at which it scored at least so much, of those that did."""
        curves = self.curves
        rows = curves[(curves["score"] >= np.float32(score)) & np.isfinite(curves["loss"])]
        return pd.Series(rows.groupby("member")["step"].min())

    def steps(self, members: Iterable[str]) -> list[int]:
        """The steps that `at` may name: those at which each of these members has a checkpoint, ascending."""
        places = [self._places[member][0] for member in members if member in self._places]
        folders = {folder.path: folder for folder in places}
        every = sorted({step for folder in folders.values() for step in folder.steps()})
        return [step for step in every if all(self._has(folder, step) for folder in folders.values())]

    def _has(self, folder: BlockFolder, step: int) -> bool:
        try:
            self._step(folder, step)
        except ValueError:
            return False
        return True

    def _step(self, folder: BlockFolder, at: str | int) -> int:
        """The step of a block's checkpoint that is asked for."""
        at = at.item() if isinstance(at, np.generic) else at  # a step of a table
        if at == "initial":
            return 0
        if at == "last" or score_level(at) is not None:
            return int((folder.manifest() or {"step": 0})["step"])
        steps = folder.steps()
        if isinstance(at, int) and steps and at not in steps and at in self._training(folder).snapshots:
            if at < steps[-1]:
                raise ValueError(f"Block {folder.path} has lost its snapshot at step {at}; {MENDS}.")
            if self._is_over(folder):
                return steps[-1]
        if at not in steps:
            raise ValueError(
                f"Block {folder.path} has no checkpoint at step {at!r}; it has {', '.join(map(str, steps))}, "
                '"initial" and "last".'
            )
        return int(at)

    def _is_over(self, folder: BlockFolder) -> bool:
        """Whether all members of a block have stopped."""
        curves = folder.curves()
        return curves is not None and not (curves["member_status"] == RUNNING).any()

    def _training(self, folder: BlockFolder) -> "Training":
        """How the members of a block are trained, but for what differs between them."""
        manifest = folder.manifest()
        assert manifest is not None
        return self.zoo.by_id[manifest["members"][0]].training

    def apply(
        self, members: str | Sequence[str], inputs: Any, *, at: str | int = "last"
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Outputs and representations of members on inputs of one's own.

        Args:
          members: one id, or several ids of one cohort.
          inputs: as the model takes them, `(trial, time, unit)` or `(trial, height, width, channel)`.
          at: "last", "initial", or a step of which there is a checkpoint.

        Returns:
          `(outputs, representations)` as `model.apply` gives them, `(member, trial, ...)`, or of one id without the
          member axis.

        Raises:
          ValueError: as for `variables`; inputs of another shape than the task's.
        """
        from zoo.devices.population import population_map

        single = isinstance(members, str)
        ids = self._ids(members)
        inputs, shape = np.asarray(inputs, np.float32), self.task(ids[0]).input_shape
        is_recurrent = self.member(ids[0]).model.family == "recurrent"  # trials of any length
        if inputs.ndim != 1 + len(shape) or inputs.shape[1 + is_recurrent :] != shape[is_recurrent:]:
            raise ValueError(f"inputs have shape {inputs.shape}, but must be trials of {shape}.")
        home = self.zoo.homes[ids[0]]
        given = population_map(self, home, _applied, [inputs], members=ids, at=at)
        outputs, layers = given.values
        return (outputs[0], {name: x[0] for name, x in layers.items()}) if single else (outputs, layers)

    def _ids(self, members: str | Sequence[str]) -> list[str]:
        """Ids that were asked for, all of one cohort and with a checkpoint."""
        ids = [members] if isinstance(members, str) else list(members) if isinstance(members, Iterable) else []
        if not ids:
            raise ValueError(f"The members are {members!r}; give one id, or several of one cohort.")
        for member in ids:
            if member not in self._places:
                self.member(member)  # an unknown id ends here
                raise ValueError(f"Member {member} of {self.path} has no checkpoint yet; train the zoo first.")
        cohorts = sorted({self._places[member][0].path.parent.name for member in ids})
        if len(cohorts) != 1:
            raise ValueError(f"The members are of {len(cohorts)} cohorts, {', '.join(cohorts)}; ask for one at a time.")
        return ids

    def variables(
        self,
        members: str | Sequence[str],
        *,
        initial: bool = False,
        at: str | int = "last",
        rule_state: bool = False,
    ) -> dict[str, Any]:
        """What `model.apply` takes: parameters and, where there are any, batch statistics and constants.

        Args:
          members: one id, or several ids of one cohort, whose arrays get a leading member axis, in the order given.
          initial: before training instead of after; the same as at="initial".
          at: "last", "initial", a step of which there is a checkpoint, or "score=0.5": the first evaluation at which
            each of them had this score, one of `Training.score_levels`.
          rule_state: whether to read what the rule remembers, too, as "rule": the tree that its `init` gives.

        Returns:
          "params", "batch_stats" or so as nested dicts of arrays; `(member, ...)`, or of one id without that axis.

        Raises:
          ValueError: an unknown id, none, members of several cohorts, one without a checkpoint at this step, or one
            that has not had this score.
          CheckpointCorrupt: a file is not as it was written.
        """
        single, ids = isinstance(members, str), self._ids(members)
        parts: dict[Any, list[tuple[int, int]]] = {}
        for position, member in enumerate(ids):
            folder, row = self._places[member]
            parts.setdefault(folder.path, []).append((position, row))
        gathered, order, when = [], [], "initial" if initial else at
        if (level := score_level(when)) is not None and rule_state:
            raise ValueError(
                f"What a rule remembers is not kept at score levels, and at is {when!r}; ask for a snapshot."
            )
        for path, pairs in parts.items():
            folder, rows = BlockFolder(path), [row for _, row in pairs]
            step = self._step(folder, when)
            if level is None:
                gathered.append(_variables(folder, step, rows, rule_state))
            else:
                gathered.append(self._at_level(folder, step, rows, level))
            order.extend(position for position, _ in pairs)
        back = np.argsort(order)

        def join(*leaves: Any) -> Any:
            if isinstance(leaves[0], dict):
                return {key: join(*(leaf[key] for leaf in leaves)) for key in leaves[0]}
            joined = np.concatenate(leaves)[back]
            return joined[0] if single else joined

        joined = join(*gathered)
        if rule_state:
            joined["rule"] = self._remembered(self.zoo.homes[ids[0]], joined.get("rule"))
        return joined

    def _at_level(self, folder: BlockFolder, step: int, rows: Sequence[int], level: float) -> dict[str, Any]:
        """What `model.apply` takes, of some rows of a block, as it was when they reached a score level."""
        levels = self._training(folder).score_levels
        if level not in levels:
            kept = f"those of Training.score_levels, {', '.join(map(str, levels))}" if levels else "none"
            raise ValueError(
                f"Block {folder.path} has no networks at score {level:g}; the scores that it has are {kept}."
            )
        stored = folder.rows(step, rows, ("reached", "constants"))

        def picked(tree: Any) -> Any:
            if isinstance(tree, dict):
                return {name: picked(branch) for name, branch in tree.items()}
            return tree[:, levels.index(level)]

        reached = picked(stored.pop("reached"))
        if len(never := np.flatnonzero(reached["step"] < 0)):
            member = (folder.manifest() or {})["members"][rows[never[0]]]
            raise ValueError(f"Member {member} has not reached score {level:g}; `reached({level:g})` says who has.")
        return {**reached.get("stats", {}), "params": reached["params"], **stored}

    def _remembered(self, cohort: str, stored: Any) -> Any:
        """A rule's state as the tree that the rule's `init` makes, from nested dicts."""
        import jax

        if cohort not in self._states:
            from zoo.devices import startup
            from zoo.training.binding import floats_of
            from zoo.training.program import program_of

            startup.start_as(self.manifest)
            group = next(each for each in self.zoo.cohorts if each.id == cohort)
            shape = jax.eval_shape(program_of(group).init, jax.tree.map(lambda x: x[0], floats_of(group)))
            self._states[cohort] = jax.tree_util.tree_flatten_with_path(shape.rule)
        leaves, tree = self._states[cohort]
        return tree.unflatten([functools.reduce(operator.getitem, leaf_path(path), stored) for path, _ in leaves])

    def params(self, members: str | Sequence[str], *, initial: bool = False, at: str | int = "last") -> dict[str, Any]:
        """The parameters alone; arguments as for `variables`."""
        return self.variables(members, initial=initial, at=at)["params"]

    @functools.cached_property
    def curves(self) -> pd.DataFrame:
        """member, step, train_loss, loss, score: one row per member and evaluation up to its last step; step 0 is
        untrained."""
        frames = []
        for curves in files.spread(self.path, BlockFolder.curves, block_folders(self.path)):
            if curves is None:
                continue
            steps, members = curves["step"], curves["members"]
            frame = {"member": np.tile(members, len(steps)), "step": np.repeat(steps, len(members))}
            frame |= {n: curves[n].reshape(-1) for n in ("train_loss", "loss", "score")}
            # After a member's own last step its block's evaluations repeat its last one.
            is_trained = steps[:, None] <= curves["member_step"][None, :]
            frames.append(pd.DataFrame(frame)[is_trained.reshape(-1)])
        columns = ["member", "step", "train_loss", "loss", "score"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _applied(bound: Any, variables: Any, key: Any, inputs: Any) -> Any:
    """For `population_map`, which traces a function that stays the same once."""
    return bound.model.apply(variables, inputs)


def _variables(folder: BlockFolder, step: int, rows: Sequence[int], rule_state: bool) -> dict[str, Any]:
    """What `model.apply` takes, of some rows of a block, at one of its checkpoints."""
    parts = folder.rows(step, rows, ("params", "stats", "constants", *(["rule"] if rule_state else [])))
    return {**parts.pop("stats", {}), **parts}


def load(directory: str | os.PathLike[str]) -> Trained:
    """Open a zoo directory for reading: `.members`, `.curves`, `.params(member)`, `.model(member)`, `.task(member)`."""
    return Trained(directory)


def all_done(directory: str | os.PathLike[str]) -> bool:
    """Whether a zoo directory is there, with every member trained to its end."""
    written = (files.directory(directory) / "members.csv").exists()
    return written and not set(UNFINISHED) & set(load(directory).members["status"])
