"""The zoo directory while it is read: members, curves, parameters. Arrays are read row by row, on no accelerator."""

import functools
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from zoo import files, lookup, wording
from zoo.spec.member import MEMBER_COLUMNS, Member
from zoo.spec.zoo import Zoo
from zoo.store.checkpoints import BlockFolder, block_folders
from zoo.store.manifest import read_manifest, zoo_of
from zoo.store.members import member_table


class Trained:
    """A zoo directory that is being read.

    Attributes:
      path: the directory.
      manifest: what it says of itself, `zoo.store.manifest.read_manifest`.
    """

    def __init__(self, directory: str | os.PathLike[str]):
        self.path = files.directory(directory) if files.is_remote(directory) else Path(directory)
        self.manifest = read_manifest(self.path)

    @functools.cached_property
    def members(self) -> pd.DataFrame:
        """One row per member: member, cohort, task, model, seed, status, steps, loss, score, every varied field."""
        table = self.written()
        # Somebody may have trained since the table was written.
        expected = sum(entry["members"] for entry in self.manifest["cohorts"].values())
        if table is None or len(table) != expected or {"pending", "training"} & set(table["status"]):
            return member_table(self.path, self.zoo)
        return table

    def written(self) -> pd.DataFrame | None:
        """The content of `members.csv`, which may be old; None where there is none."""
        file = self.path / "members.csv"
        try:
            table = pd.read_csv(io.BytesIO(files.read(file)))
        except FileNotFoundError:
            return None
        except files.BucketError:
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
        return zoo_of(self.manifest)

    @functools.cached_property
    def _specs(self) -> dict[str, Member]:
        return {member.id: member for member in self.zoo.members}

    @functools.cached_property
    def _places(self) -> dict[str, tuple[BlockFolder, int]]:
        """Member -> its block and row there, by the ids that were saved with the block."""
        folders = block_folders(self.path)
        manifests = files.spread(self.path, BlockFolder.manifest, folders)
        return {
            member: (folder, row)
            for folder, manifest in zip(folders, manifests)
            for row, member in enumerate((manifest or {"members": []})["members"])
        }

    def member(self, member: str) -> Member:
        """The spec of one member; a ValueError with the nearest ids where there is none."""
        if member not in self._specs:
            raise ValueError(f"{self.path} has no member {member!r}; {lookup.nearest(member, self._specs)}.")
        return self._specs[member]

    def task(self, member: str) -> Any:
        """The task of a member."""
        return self.member(member).task

    def model(self, member: str) -> Any:
        """The model of a member, ready for `apply`: sizes, dt and convolution form filled in."""
        from zoo.training.program import bound_model

        found = self.member(member)
        cohort = self.members.set_index("member").at[member, "cohort"]
        recipe = self.manifest["cohorts"][cohort]["recipe"] or {}
        return bound_model(found.model, found.task, conv_form=recipe.get("conv_form", "columns"))

    def variables(self, members: str | Sequence[str], *, initial: bool = False) -> dict[str, Any]:
        """What `model.apply` takes: parameters and, where there are any, batch statistics.

        Args:
          members: one id, or several ids of one cohort, whose arrays get a leading member axis.
          initial: before training instead of after.
        """
        single = isinstance(members, str)
        ids = [members] if single else list(members) if isinstance(members, Iterable) else []
        if not ids:
            raise ValueError(f"The members are {members!r}; give one id, or several of one cohort.")
        for member in ids:
            if member not in self._places:
                self.member(member)  # an unknown id ends here
                raise ValueError(f"Member {member} of {self.path} has no checkpoint yet; train the zoo first.")
        cohorts = sorted({self._places[member][0].path.parent.name for member in ids})
        if len(cohorts) != 1:
            raise ValueError(f"The members are of {len(cohorts)} cohorts, {', '.join(cohorts)}; ask for one at a time.")
        parts: dict[Any, list[tuple[int, int]]] = {}
        for position, member in enumerate(ids):
            folder, row = self._places[member]
            parts.setdefault(folder.path, []).append((position, row))
        gathered, order = [], []
        for path, pairs in parts.items():
            folder, rows = BlockFolder(path), [row for _, row in pairs]
            step = 0 if initial else int((folder.manifest() or {"step": 0})["step"])
            gathered.append({"params": folder.rows(step, rows, ("params",)), **folder.rows(step, rows, ("stats",))})
            order.extend(position for position, _ in pairs)
        back = np.argsort(order)

        def join(*leaves: Any) -> Any:
            if isinstance(leaves[0], dict):
                return {key: join(*(leaf[key] for leaf in leaves)) for key in leaves[0]}
            joined = np.concatenate(leaves)[back]
            return joined[0] if single else joined

        return join(*gathered)

    def params(self, members: str | Sequence[str], *, initial: bool = False) -> dict[str, Any]:
        """The parameters alone; arguments as for `variables`."""
        return self.variables(members, initial=initial)["params"]

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
            own = steps[:, None] <= curves["member_step"][None, :]
            frames.append(pd.DataFrame(frame)[own.reshape(-1)])
        columns = ["member", "step", "train_loss", "loss", "score"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def load(directory: str | os.PathLike[str]) -> Trained:
    """Open a zoo directory for reading: `.members`, `.curves`, `.params(member)`, `.model(member)`, `.task(member)`."""
    return Trained(directory)
