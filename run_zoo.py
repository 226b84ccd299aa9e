"""Train a population of networks and compare them: `python run_zoo.py run demo --out zoos/demo`.

SPEC is the name of a preset, or the path of a Python file that defines `zoo`. Every field of the spec can be set by a
flag named after it: `--training.steps 500 --model.hidden 32 --seeds 5`.

Exit status: 0 done, 2 bad input, 1 failed, 130 stopped by Ctrl-C, 143 by a signal after saving.
"""

import ast
import dataclasses
import importlib.util
import os
import re
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Fixed, FlagCreatePairsOff, Positional, Suppress, arg

from zoo.terminal import console, print_cohorts, print_fields, print_plan, print_table

Overrides = Sequence[tuple[str, str]]
DataDirectory = Annotated[Path | None, arg(metavar="DIR")]
Directory = Annotated[Positional[Path], arg(metavar="DIR", help="A zoo directory.")]


@dataclasses.dataclass
class List:
    """Models, tasks, rules, measures and presets, one line each; with a name, what it is and its fields."""

    name: Annotated[Positional[str | None], arg(metavar="[NAME]", help='One of these, or "training".')] = None

    def __call__(self) -> None:
        from zoo import lookup

        if self.name is not None:
            print_fields(self.name)
            return
        for kind in lookup.FOLDERS:
            console.print(f"[bold]{kind}s[/bold]")
            for name in lookup.names(kind):
                console.print(f"  {name:<13} {lookup.describe(kind, name)}", markup=False)


@dataclasses.dataclass
class Train:
    """Train every member; again with the same directory: resume, or say that all is done.

    Fields of the spec are flags too: --training.steps 500, --model.hidden 32, --task.bits 2, --seeds 5; `list NAME`
    shows them.
    """

    spec: Annotated[Positional[str], arg(metavar="SPEC", help="A preset, or a Python file that defines `zoo`.")]
    out: Annotated[Path, arg(metavar="DIR", help="The zoo directory: new, or of the same spec to go on with it.")]
    save_every: Annotated[float, arg(metavar="SECONDS")] = 60.0
    """Time between two checkpoints of a block."""
    block: Annotated[int | None, arg(metavar="N")] = None
    """Members that one call advances on one device, instead of the recipe's."""
    tune: Annotated[bool, FlagCreatePairsOff] = False
    """Time alternative recipes first, and remember the winner."""
    dry_run: Annotated[bool, FlagCreatePairsOff] = False
    """Print the plan and train nothing."""
    task: Annotated[str | None, arg(metavar="NAME")] = None
    """Train on this task instead, with its defaults; --task.x sets its fields."""
    data_dir: DataDirectory = None
    """Where image sets lie, instead of ZOO_DATA or a download."""
    overrides: Suppress[Fixed[Overrides]] = ()

    def __call__(self) -> None:
        from zoo.plan import plan
        from zoo.run import train

        _use_data(self.data_dir)
        zoo = read_spec(self.spec, self.overrides, self.task)
        if self.dry_run:
            print_plan(zoo.name, plan(zoo, self.block, say=lambda line: console.print(line, markup=False)))
            return
        begin, done = time.monotonic(), _all_done(self.out)
        trained = train(zoo, self.out, save_every=self.save_every, block=self.block, tune=self.tune)
        summary = ", ".join(f"{n} {status}" for status, n in trained.members["status"].value_counts().items())
        end = "all was done before" if done else f"{time.monotonic() - begin:.0f} s"
        console.print(f"{len(trained.members)} members: {summary} ({end}).", markup=False)
        if not done:
            run = trained.manifest["last_run"]
            compiled = f"{run['programs']} programs took {run['compile_seconds']:.0f} s to trace and compile"
            console.print(f"{compiled}; peak memory {run['peak_mebibytes']} MiB.")


@dataclasses.dataclass
class Run(Train):
    """Train, compare, report: the main job.

    Fields of the spec are flags too: --training.steps 500, --model.hidden 32, --task.bits 2, --seeds 5; `list NAME`
    shows them.
    """

    all_layers: Annotated[bool, FlagCreatePairsOff] = False
    """Compare every layer with every layer, not only equal ones."""

    def __call__(self) -> None:
        begin = time.monotonic()
        super().__call__()
        if not self.dry_run:
            # One network of hundreds whose units have all died must not end a run after its training.
            Compare(self.out, exclude_degenerate=True, all_layers=self.all_layers)()
            Report(self.out)()
            console.print(f"Done in {time.monotonic() - begin:.0f} s.")


@dataclasses.dataclass
class Compare:
    """Compare all members, trained and untrained, on their task's probe; test what explains the differences."""

    dir: Directory
    measures: Annotated[tuple[str, ...], arg(metavar="NAME ...")] = ("cka", "rsa")
    """With choices if you like, "cka(debiased=False)"; `list` names them, docs/measures.md says which to take."""
    task: Annotated[str, arg(metavar="NAME")] = ""
    """Which task, of several; all of them where none is named."""
    layers: Annotated[tuple[str, ...], arg(metavar="NAME ...")] = ()
    """Which layers; all of them where none is named."""
    all_layers: Annotated[bool, FlagCreatePairsOff] = False
    """Compare every layer with every layer, not only equal ones."""
    space: Annotated[str, arg(metavar="SPACE")] = "mean"
    """How maps of convolution layers are reduced: mean over space, all units, or "subset(k)", k units at random."""
    probe: Annotated[Path | None, arg(metavar="FILE")] = None
    """Images to show instead of the tasks' own: an .npz, or the .mat of Kriegeskorte et al. (2008)."""
    against: Annotated[tuple[Path, ...], arg(metavar="FILE ...")] = ()
    """Recordings or RDMs of the stimuli shown, to be scored against: .npz, .npy, .mat, .nc or .zarr; docs/data.md."""
    export: Annotated[tuple[str, ...], arg(metavar="FORMAT ...")] = ()
    """Further formats to write: zarr, csv (a row per pair), rsatoolbox (RDMs)."""
    control: Annotated[str, arg(metavar="NAME")] = ""
    """Take this out of cka and rsa, besides: "input", the geometry of what was shown, or that of a condition."""
    nulls: Annotated[bool, FlagCreatePairsOff] = False
    """z and p of every value over permutations of the stimuli: 999 of them where there is no closed form."""
    intervals: Annotated[bool, FlagCreatePairsOff] = False
    """95 % limits of every value by the jackknife over stimuli: n comparisons for measures other than cka and rsa."""
    interactions: Annotated[bool, FlagCreatePairsOff] = False
    """Test every pair of fields, too."""
    float64: Annotated[bool, FlagCreatePairsOff] = False
    """Compute in double precision (on CPU)."""
    exclude_degenerate: Annotated[bool, FlagCreatePairsOff] = False
    """Leave out constant and non-finite representations instead of stopping at them."""
    data_dir: DataDirectory = None
    """Where image sets lie, instead of ZOO_DATA or a download."""

    def __call__(self) -> None:
        from analysis.study import study

        _use_data(self.data_dir)
        study(
            self.dir,
            self.measures,
            only=self.task,
            layers=self.layers,
            all_layers=self.all_layers,
            space=self.space,
            exclude_degenerate=self.exclude_degenerate,
            probe=self.probe,
            against=self.against,
            export=self.export,
            control=self.control,
            nulls=self.nulls,
            intervals=self.intervals,
            interactions=self.interactions,
            dtype="float64" if self.float64 else "float32",
            say=lambda line: console.print(line, markup=False),
        )


@dataclasses.dataclass
class Report:
    """Draw the pictures of a compared zoo, and print the numbers that matter."""

    dir: Directory

    def __call__(self) -> None:
        from analysis.report import report

        for line in report(self.dir):
            console.print(line, markup=False)


@dataclasses.dataclass
class Show:
    """Cohorts and members in the terminal; with a member, its hyperparameters and curve."""

    dir: Directory
    member: Annotated[Positional[str | None], arg(metavar="[MEMBER]", help="A member's id.")] = None

    def __call__(self) -> None:
        from zoo import load
        from zoo.fields import values_of
        from zoo.spec import SECTIONS

        trained = load(self.dir)
        if self.member is None:
            print_cohorts(trained)
            members = trained.members.drop(columns="cohort")
            print_table(list(members.columns), members.itertuples(index=False), f"\n{len(members)} members")
            return
        found = trained.member(self.member)
        row = trained.members.set_index("member").loc[found.id]
        console.print(f"{found.id}: {row['status']} after {row['steps']} steps, score {row['score']:.4f}", markup=False)
        for section in SECTIONS:
            values = ", ".join(f"{n}={v}" for n, v in values_of(getattr(found, section)).items())
            console.print(f"  {section}: {values}", markup=False)
        console.print(f"  seed: {found.seed}")
        curve = trained.curves.query("member == @found.id").drop(columns="member")
        print_table(list(curve.columns), curve.itertuples(index=False))


COMMANDS = {"list": List, "run": Run, "train": Train, "compare": Compare, "report": Report, "show": Show}


def _use_data(directory: Path | None) -> None:
    """Image sets are looked for in this directory from now on."""
    if directory is None:
        return
    if not directory.is_dir():
        raise ValueError(f"--data-dir is {directory}, which is no directory.")
    os.environ["ZOO_DATA"] = str(directory.resolve())


def read_spec(spec: str, overrides: Overrides = (), task: str | None = None) -> Any:
    """The zoo of a preset or a file, on another task if one is named, with fields set as the command line asks."""
    from zoo import lookup
    from zoo.spec import Zoo

    if spec.endswith(".py") or os.sep in spec:
        path = Path(spec)
        if not path.is_file():
            raise ValueError(f"The spec {spec} is no file; give a preset's name or a Python file that defines `zoo`.")
        loader = importlib.util.spec_from_file_location("zoo_spec_file", path)
        assert loader is not None
        assert loader.loader is not None
        module = importlib.util.module_from_spec(loader)
        _execute(path, loader.loader, module)
    else:
        module = lookup.find("preset", spec)
    zoo = getattr(module, "zoo", None)
    if not isinstance(zoo, Zoo):
        raise ValueError(f"The spec {spec} must define `zoo`, a Zoo; it has {type(zoo).__name__}.")
    if task is not None:
        zoo = zoo.replace("task", lookup.find("task", task).Task())
    for path, text in overrides:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        zoo = zoo.replace(path, value)
    return zoo


def _execute(path: Path, loader: Any, module: Any) -> None:
    """Run a spec file; what goes wrong in it is one sentence that names its line."""
    try:
        loader.exec_module(module)
    except Exception as error:
        if os.environ.get("ZOO_TRACEBACK"):
            raise
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        why = str(error).split("\n")[0] if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        if unknown := re.search(r"unexpected keyword argument '(\w+)'", why):
            why = f"{why[: unknown.end()]}; {_nearest_field(unknown[1])}"
        raise ValueError(f"{path}, line {line}: {why}") from None


def _nearest_field(name: str) -> str:
    from zoo import lookup
    from zoo.fields import fields
    from zoo.spec import Training

    classes = [
        getattr(lookup.find(kind, n), kind.capitalize()) for kind in ("model", "task") for n in lookup.names(kind)
    ]
    return lookup.nearest(name, sorted({field for cls in (*classes, Training) for field in fields(cls)}))


def take_overrides(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Split `--task.x`, `--model.x`, `--training.x` and `--seeds` with their values from the other arguments."""
    rest: list[str] = []
    overrides: list[tuple[str, str]] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        if not (flag.startswith("--") and (name == "seeds" or name.startswith(("task.", "model.", "training.")))):
            rest.append(word)
            continue
        if not equals and (value := next(words, None)) is None:
            raise ValueError(f"The flag {flag} has no value.")
        overrides.append((name, value))
    return rest, overrides


def _all_done(out: Path) -> bool:
    from zoo import load

    if not (out / "members.csv").exists():
        return False
    return not {"pending", "training"} & set(load(out).members["status"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    from zoo.run import Stopped

    try:
        words, overrides = take_overrides(sys.argv[1:] if arguments is None else arguments)
        command = tyro.extras.subcommand_cli_from_dict(COMMANDS, args=words, prog="run_zoo.py", description=__doc__)
        if isinstance(command, Train):
            command.overrides = overrides
        elif overrides:
            raise ValueError(f"The flag --{overrides[0][0]} belongs to run and train.")
        command()
    except Stopped as stopped:
        console.print(str(stopped), markup=False)
        return 143
    except KeyboardInterrupt:
        print("run_zoo.py: stopped; the same command goes on where it can", file=sys.stderr)
        return 130
    except (ValueError, MemoryError, OSError) as error:
        if os.environ.get("ZOO_TRACEBACK"):
            raise
        print(f"run_zoo.py: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
