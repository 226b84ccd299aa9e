"""Train a population of networks and compare them: `python run_zoo.py run demo --out zoos/demo`.

SPEC is the name of a preset, or the path of a Python file that defines `zoo`. Every field of the spec can be set by a
flag named after it: `--training.steps 500 --model.hidden 32 --seeds 5`.

Exit status: 0 done, 2 bad input, 1 failed, 143 training stopped by Ctrl-C or a signal after saving, 130 other Ctrl-C.
"""

import dataclasses
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Fixed, FlagCreatePairsOff, Positional, Suppress, arg

try:
    from zoo import check_neighbours

    check_neighbours("analysis")
except ImportError as error:
    print(f"run_zoo.py: {error}", file=sys.stderr)
    sys.exit(2)

from analysis import DEFAULT_MEASURES, PERMUTATIONS
from analysis.report.choices import USUAL, PictureChoices, check_before
from zoo import terminal
from zoo.buckets import local
from zoo.data.downloads import look_in
from zoo.running import run_settings
from zoo.spec.flags import Overrides, check, options_of, take_options, take_overrides, with_number
from zoo.spec.spec_file import place_of, read_spec
from zoo.terminal import console, say
from zoo.wording import counted, plain

DataDirectory = Annotated[
    Path | None, arg(metavar="DIR", help="Where image sets lie, instead of ZOO_DATA or a download.")
]
Directory = Annotated[Positional[str], arg(metavar="DIR", help="A zoo directory.")]
Seconds = Annotated[float, arg(metavar="SECONDS")]
Count = Annotated[int | None, arg(metavar="N")]
Pictures = Annotated[PictureChoices, arg(name="")]


@dataclasses.dataclass
class List:
    """Models, tasks, rules, measures, assays, studies, presets, a line each; with a name, what it is and its fields."""

    name: Annotated[Positional[str | None], arg(metavar="[NAME]", help='One of these, or "training".')] = None

    def __call__(self) -> None:
        terminal.print_parts() if self.name is None else terminal.print_fields(self.name)


@dataclasses.dataclass
class Train:
    """Train every member; again with the same directory: resume, or say that all is done.

    Fields of the spec are flags too: --training.steps 500, --model.hidden 32, --task.bits 2, --seeds 5; `list NAME`
    shows them.
    """

    spec: Annotated[
        Positional[str], arg(metavar="SPEC", help="A preset, a Python file that defines `zoo`, or a zoo directory.")
    ]
    out: Annotated[str, arg(metavar="DIR", help="New, or of the same spec to go on; of a zoo directory itself.")] = ""
    save_every: Seconds = run_settings.SAVE_EVERY
    """Time between two checkpoints of a block."""
    keep: Annotated[int, arg(metavar="N")] = run_settings.KEPT
    """Checkpoints of a block that stay, beside the untrained networks."""
    grace: Seconds = run_settings.GRACE
    """Time to save in after SIGTERM or Ctrl-C; a second one ends at once."""
    block: Count = None
    """Members that one call advances on one device, instead of the recipe's."""
    retry: Annotated[str | None, arg(metavar="STATUS")] = None
    """First add a new member for each that is "diverged" (or "unsolved"): with the next seed, or see below."""
    retry_learning_rate: Annotated[float | None, arg(metavar="RATE")] = None
    """Of the new members, with the old seed."""
    more_steps: Count = None
    """First add each member with fewer steps once more, with so many: it begins where that one ended, if it can."""
    on: Literal["local", "slurm", "ray"] = "local"
    """Where: on this machine, or in shares as SLURM jobs or Ray tasks, which see the same directory."""
    shares: Count = None
    """How many jobs or tasks, 8 where it is not said: each trains every n-th block."""
    engine: Annotated[tuple[str, ...], arg(metavar="KEY=VALUE ...")] = ()
    """What each asks for: of SLURM "gpus_per_node=1 timeout_min=240 slurm_partition=gpu", of Ray "num_gpus=1"."""
    coordinator: Annotated[str | None, arg(metavar="HOST:PORT")] = None
    """Where process 0 of several can be reached; not needed on TPU, SLURM and Open MPI, which tell."""
    processes: Count = None
    """How many processes run this same command, each on devices of its own."""
    process: Count = None
    """The number of this one, from 0."""
    tune: Annotated[bool, FlagCreatePairsOff] = False
    """Time alternative recipes first, and remember the winner."""
    dry_run: Annotated[bool, FlagCreatePairsOff] = False
    """Print the plan and train nothing."""
    timed: Annotated[bool, FlagCreatePairsOff] = False
    """With --dry-run: compile some cohorts and train them for a moment, for memory and time."""
    task: Annotated[str | None, arg(metavar="NAME")] = None
    """Train on this task instead, with its defaults; --task.x sets its fields."""
    rule: Annotated[str | None, arg(metavar="NAME")] = None
    """Train by this learning rule instead, with its defaults; --rule.x sets its fields."""
    data_dir: DataDirectory = None
    overrides: Suppress[Fixed[Overrides]] = ()
    first: Suppress[Fixed[bool]] = True
    together: Suppress[Fixed[int]] = 1

    def __call__(self) -> None:
        retries = self.retry is not None or self.retry_learning_rate is not None
        if retries and self.more_steps is not None:
            raise ValueError("--retry and --more-steps both add members: give one, train, and then the other.")
        look_in(self.data_dir)
        zoo = read_spec(self.spec, self.overrides, self.task, self.rule)
        if self.more_steps is not None:
            from zoo.running.additions import longer

            zoo = longer(self.out, zoo, self.more_steps)
        for hint in zoo.hints:
            say(hint)
        if self.timed and not self.dry_run:
            raise ValueError("--timed belongs to --dry-run.")
        if self.dry_run:
            terminal.show_plan(zoo, self.out, self.block, self.timed)
            return
        say(f"{zoo.name}: {counted(len(zoo.members), 'member')} in {counted(len(zoo.cohorts), 'cohort')}")
        from zoo.store.reader import all_done

        begin = time.monotonic()
        if retries:
            from zoo.launch.processes import several
            from zoo.running.additions import retry

            retry(self.out, zoo, self.retry, self.retry_learning_rate, bool(self.processes or several()), say)
        done = all_done(self.out)
        terminal.print_trained(self._train(zoo), time.monotonic() - begin, done, self.on == "local")

    def _train(self, zoo: Any) -> Any:
        """The trained zoo; notes which process of how many this is."""
        from zoo.launch.placement import Placement, train_there

        there = Placement(self.on, self.shares, self.engine, self.coordinator, self.processes, self.process)
        settings: dict[str, Any] = {n: getattr(self, n) for n in ("save_every", "keep", "grace", "block", "tune")}
        trained, self.first, self.together = train_there(zoo, self.out, there, settings)
        return trained


@dataclasses.dataclass
class Run(Train):
    """Train, compare, report: the main job.

    Fields of the spec are flags too: --training.steps 500, --model.hidden 32, --task.bits 2, --seeds 5; `list NAME`
    shows them.
    """

    all_layers: Annotated[bool, FlagCreatePairsOff] = False
    """Compare every layer with every layer, not only equal ones."""
    pictures: Pictures = USUAL

    def __call__(self) -> None:
        begin = time.monotonic()
        if not self.dry_run:  # what would be refused at the end is refused before it has trained
            from analysis.report.pages import all_pages

            all_pages()
            check_before(self.pictures, read_spec(self.spec, self.overrides, self.task, self.rule), local(self.out))
        super().__call__()
        if self.dry_run or not self.first:
            return
        from zoo.store.reader import all_done

        if self.together > 1:
            from zoo.launch.placement import wait_for_all

            wait_for_all(self.out, self.together, say)
        # One network of hundreds whose units have all died must not end a run after its training.
        refusal = None
        try:
            Compare(self.out, exclude_degenerate=True, all_layers=self.all_layers)()
        except ValueError as error:  # what was trained is drawn all the same
            refusal = error
        Report(self.out, self.pictures)()
        if refusal is not None:
            raise refusal
        console.print(f"Done in {time.monotonic() - begin:.0f} s.")
        if not all_done(self.out):
            raise OSError("A process has ended before its share was trained; the same command trains what is left.")


@dataclasses.dataclass
class Compare:
    """Compare all members, trained and untrained, on their task's probe; test what explains the differences."""

    dir: Directory
    more: Annotated[Positional[tuple[str, ...]], arg(metavar="[DIR ...]", help="Others, to merge with it first.")] = ()
    out: Annotated[str | None, arg(metavar="DIR")] = None
    """Of several directories: where they are merged and compared, new or the same merge; see `merge`."""
    measures: Annotated[tuple[str, ...], arg(metavar="NAME ...")] = DEFAULT_MEASURES
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
    """Images, or inputs over time, to show instead of the tasks' own: an .npz, the .mat of Kriegeskorte (2008) ..."""
    against: Annotated[tuple[Path, ...], arg(metavar="FILE ...")] = ()
    """Recordings or RDMs of the stimuli shown, to be scored against: .npz, .mat, .nc, .h5, .csv ...; docs/data.md."""
    networks: Annotated[Path | None, arg(metavar="DIR")] = None
    """Networks trained elsewhere, a file of layers each, that join the zoo's: see docs/data.md."""
    pool: Annotated[bool, FlagCreatePairsOff] = False
    """Put the units of a recording's subjects together, as those of one."""
    export: Annotated[tuple[str, ...], arg(metavar="FORMAT ...")] = ()
    """Further formats to write: zarr, csv (a row per pair), rsatoolbox (RDMs)."""
    control: Annotated[str, arg(metavar="NAME")] = ""
    """Take this out of cka and rsa, besides: "input", the geometry of what was shown, or that of a condition."""
    nulls: Annotated[int, arg(metavar="[N]")] = 0
    """z and p of every value over orders of the stimuli: N of them, 999 where none is named, if there is no formula."""
    intervals: Annotated[bool, FlagCreatePairsOff] = False
    """95 % limits of every value by the jackknife over stimuli: n comparisons for measures other than cka and rsa."""
    interactions: Annotated[bool, FlagCreatePairsOff] = False
    """Test every pair of fields, too."""
    float64: Annotated[bool, FlagCreatePairsOff] = False
    """Compute in double precision (on CPU)."""
    exclude_degenerate: Annotated[bool, FlagCreatePairsOff] = False
    """Leave out constant and non-finite representations instead of stopping at them."""
    data_dir: DataDirectory = None

    def __call__(self) -> None:
        from analysis.zoo_comparison import Request, compare_zoo
        from zoo.store.merging import one_of

        look_in(self.data_dir)
        flags, names = vars(self), {field.name for field in dataclasses.fields(Request)}
        dtype = "float64" if self.float64 else "float32"
        request = Request(only=self.task, dtype=dtype, **{name: flags[name] for name in flags.keys() & names})
        compare_zoo(one_of([local(name) for name in (self.dir, *self.more)], self.out, say), request, say)


@dataclasses.dataclass
class Merge:
    """Make one zoo directory of several: no checkpoint is changed, and a member that two of them have counts once."""

    dirs: Annotated[Positional[tuple[str, ...]], arg(metavar="DIR DIR ...", help="Zoo directories.")]
    out: Annotated[str, arg(metavar="DIR", help="The new one; of the same merge, what is there stays.")]

    def __call__(self) -> None:
        from zoo import merge

        merge([local(name) for name in self.dirs], local(self.out), say)


@dataclasses.dataclass
class Assay:
    """Measure one property of every network, trained and untrained: dimensionality, lesions ...

    Options of the assay are flags too: --size 8; `list NAME` shows them. Again with the same options: goes on, or says
    that it was done.
    """

    dir: Directory
    name: Annotated[Positional[str], arg(metavar="NAME", help="An assay; `list` names them.")]
    at: Annotated[str, arg(metavar="MOMENT")] = "last"
    """When in training: "last", "initial", a step of which there is a checkpoint, or "score=0.5"."""
    data_dir: DataDirectory = None
    options: Suppress[Fixed[Overrides]] = ()

    def __call__(self) -> None:
        from analysis.zoo_assays import assay_of, assay_zoo

        look_in(self.data_dir)
        assay = assay_of(self.name, options_of("assay", self.name, self.options, OPTIONS["assay"]))
        assay_zoo(local(self.dir), assay, self.at, say)


@dataclasses.dataclass
class Study:
    """A published population study: train, compare, assay, ask its claims, and write one page.

    Options of the study are flags too: --size full; `list NAME` shows them. Again with the same DIR: goes on.
    """

    name: Annotated[Positional[str], arg(metavar="NAME", help="A study; `list` names them.")]
    out: Annotated[str, arg(metavar="DIR")] = ""
    """Where its networks are trained: new, or of the same study to go on."""
    on: Annotated[str, arg(metavar="DIR")] = ""
    """Instead: a trained zoo to ask its claims of."""
    dry_run: Annotated[bool, FlagCreatePairsOff] = False
    """Print what it would train, operations and hours among it, and what it would ask; train nothing."""
    data_dir: DataDirectory = None
    options: Suppress[Fixed[Overrides]] = ()

    def __call__(self) -> None:
        from analysis.zoo_study import plan_study, run_study, study_of

        look_in(self.data_dir)
        study = study_of(self.name, options_of("study", self.name, self.options, OPTIONS["study"]))
        if self.dry_run:
            plan_study(study, say, terminal.print_plan, self.on and local(self.on))
        else:
            run_study(study, self.out and local(self.out), self.on and local(self.on), say)


@dataclasses.dataclass
class Report:
    """Draw the pictures of what there is, compared, assayed or only trained, and print the numbers that matter."""

    dir: Directory
    pictures: Pictures = USUAL

    def __call__(self) -> None:
        from analysis.report.writing import report

        for line in report(local(self.dir), self.pictures):
            say(line)


@dataclasses.dataclass
class Show:
    """Cohorts and members in the terminal; with a member, its hyperparameters and curve."""

    dir: Directory
    member: Annotated[Positional[str | None], arg(metavar="[MEMBER]", help="A member's id.")] = None

    def __call__(self) -> None:
        from zoo import load

        trained = load(self.dir)
        terminal.print_zoo(trained) if self.member is None else terminal.print_member(trained, self.member)


@dataclasses.dataclass
class Verify:
    """Read every file of every checkpoint, and compare its size and checksum with what was written."""

    dir: Directory

    def __call__(self) -> None:
        from zoo.store.verification import verify

        terminal.print_verified(self.dir, verify(self.dir))


COMMANDS = {c.__name__.lower(): c for c in (List, Run, Train, Compare, Merge, Assay, Study, Report, Show, Verify)}
OPTIONS = {"assay": ("at",), "study": ("out", "on", "dry_run")}
"""Commands whose other flags are options of a plug-in, and the flags that are their own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    from zoo.running.signals import Stopped

    try:
        words, overrides = take_overrides(sys.argv[1:] if arguments is None else arguments)
        options: list[tuple[str, str]] = []
        if kept := OPTIONS.get(words[0] if words else ""):
            words, options = take_options(words, kept=(*kept, "data_dir", "help"))
        words = with_number(words, "--nulls", PERMUTATIONS)
        check(words, COMMANDS, whose_fields=Train)
        command = tyro.extras.subcommand_cli_from_dict(COMMANDS, args=words, prog="run_zoo.py", description=__doc__)
        if isinstance(command, Train):
            command.overrides, command.out = overrides, place_of(command.spec, command.out)
        elif isinstance(command, Assay | Study):
            command.options = [*overrides, *options]
        elif overrides:
            raise ValueError(f"The flag --{overrides[0][0]} belongs to run and train.")
        command()
    except Stopped as stopped:
        say(str(stopped))
        return 143
    except KeyboardInterrupt:
        print("run_zoo.py: stopped; the same command goes on where it can", file=sys.stderr)
        return 130
    except (ValueError, MemoryError, OSError) as error:
        if os.environ.get("ZOO_TRACEBACK"):
            raise
        print(f"run_zoo.py: {plain(error)}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    return 0


def command() -> None:
    """`run-zoo`, and `python run_zoo.py`: run one command and end the process."""
    status = main()
    if status and threading.active_count() > 1:
        # A program is still being compiled, which cannot be interrupted, and which Python does not survive.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    command()
