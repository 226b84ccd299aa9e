"""What the terminal shows of fields, presets, plans and cohorts: texts and tables."""

import dataclasses
import inspect
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from zoo.training.status import DIVERGED_WORD, SOLVED_WORD
from zoo.wording import clock, counted, mebibytes, plain

__all__ = [
    "console",
    "print_fields",
    "print_member",
    "print_parts",
    "print_plan",
    "print_trained",
    "print_verified",
    "print_zoo",
    "say",
    "show_plan",
]

MOST_VALUES = 24
"""Of one field that the plan shows."""

ACCELERATOR = 1e13
"""Operations a second that are counted on of one accelerator, for plans: a tenth or less of what makers state."""

console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 200)


def say(line: str) -> None:
    """One line, as it is."""
    console.print(plain(line), markup=False)


def print_parts() -> None:
    """The parts of every kind, one line each."""
    from zoo import lookup

    for kind in lookup.FOLDERS:
        console.print(f"[bold]{'studies' if kind == 'study' else f'{kind}s'}[/bold]")
        for name in lookup.names(kind):
            say(f"  {name:<14} {lookup.describe(kind, name)}")


def print_fields(name: str) -> None:
    """The fields of a model, task, rule, measure, assay, study or the training, with what they are; or a preset."""
    from zoo import lookup
    from zoo.spec.contracts import class_of
    from zoo.spec.fields import fields_of, name_of
    from zoo.spec.settings import Training

    kinds = [kind for kind in ("model", "task", "rule") if name in lookup.names(kind)]
    for kind, show in (("preset", _print_preset), ("measure", _print_measure)):
        if name in lookup.names(kind) and not kinds:
            show(name)
            return
    for kind in ("assay", "study"):
        if name in lookup.names(kind) and not kinds:
            _print_options(kind, name)
            return
    if name != "training" and not kinds:
        known = [*(n for kind in lookup.FOLDERS for n in lookup.names(kind)), "training"]
        every = f"{', '.join([*lookup.FOLDERS][:-1])} or {[*lookup.FOLDERS][-1]}"
        raise ValueError(f"There is no {every} {name!r}; {lookup.nearest(name, known)}.")
    for kind in kinds or ["training"]:
        cls = Training if kind == "training" else class_of(kind, name)
        rows = []
        for field in fields_of(cls).values():
            off = "" if field.off is None else f", {field.off:g} is off"
            limits = ", ".join(f"{limit} {value}" for limit, value in field.limits.items())
            default = name_of(field.default) if field.holds else _shown(field.default)
            how = ("traced" if field.traced else "static") + off
            rows.append((f"--{kind}.{field.name}", default, how, limits))
        print_table([kind, "default", "", "limits"], rows)
        module = inspect.getdoc(sys.modules[cls.__module__]) if kind != "training" else ""
        shared = [base for base in cls.__mro__[1:] if base.__module__.startswith(("models.", "zoo."))]
        about = "\n\n".join(inspect.cleandoc(each.__doc__ or "") for each in (cls, *shared))
        console.print(about.replace("See the module's text.\n", f"{module}\n"), markup=False)


def print_trained(trained: Any, seconds: float, was_done: bool, here: bool) -> None:
    """What a run has come to: how many members have which status, how long it took, what was compiled.

    Args:
      trained: the directory, read.
      seconds: since it began.
      was_done: all was trained before it.
      here: it was trained by this process, or by those beside it.
    """
    summary = ", ".join(f"{n} {status}" for status, n in trained.members["status"].value_counts().items())
    run = trained.manifest.get("last_run", {})
    was_done = was_done and not run.get("programs")  # nothing had to be mended
    end = "all was done before" if was_done else f"{seconds:.0f} s"
    say(f"{counted(len(trained.members), 'member')}: {summary} ({end}).")
    if not was_done and here and run:
        compiled = f"{counted(run['programs'], 'program')} took {run['compile_seconds']:.0f} s to trace and compile"
        console.print(f"{compiled}; peak memory {run['peak_mebibytes']} MiB.")


def _shown(default: Any) -> str:
    """A default as a table has it: a text without letters would look like none."""
    return '""' if default == "" else str(default)


def _print_measure(name: str) -> None:
    from zoo.spec.contracts import class_of

    cls: Any = class_of("measure", name)
    rows = []
    for field in dataclasses.fields(cls):
        limits = field.metadata.get("limits", {})
        allowed = ", ".join(map(str, limits.get("choices", [f"{limit} {value}" for limit, value in limits.items()])))
        rows.append((field.name, _shown(field.default), allowed))
    print_table([name, "default", "allowed"], rows)
    console.print(inspect.cleandoc(cls.__doc__ or ""), markup=False)
    choose = f'; choose as in --measures "{name}({rows[0][0]}=...)"' if rows else ""
    console.print(f"\nBy default {cls().name}{choose}.", markup=False)


def _print_options(kind: str, name: str) -> None:
    """The options of an assay or a study."""
    from zoo.spec.contracts import class_of
    from zoo.spec.fields import fields_of

    cls: Any = class_of(kind, name)
    rows = []
    for field in fields_of(cls).values():
        limits = field.limits
        allowed = ", ".join(map(str, limits.get("choices", [f"{limit} {value}" for limit, value in limits.items()])))
        rows.append((f"--{field.name}", _shown(field.default), allowed))
    print_table([name, "default", "allowed"], rows)
    module = inspect.getdoc(sys.modules[cls.__module__]) or ""
    about = inspect.cleandoc(cls.__doc__ or "").replace("See the module's text.", f"{module}\n", 1)
    console.print(about, markup=False)
    if kind == "assay":
        console.print(f"\nTakes networks that are {', '.join(sorted(cls.takes))}.", markup=False)


def _print_preset(name: str) -> None:
    from zoo import lookup
    from zoo.spec.member import varied

    module = lookup.find("preset", name)
    cohorts = module.zoo.cohorts
    members = [member for cohort in cohorts for member in cohort.members]
    console.print(inspect.cleandoc(module.__doc__ or ""), markup=False)
    console.print(
        f"\n{counted(len(members), 'member')} in {counted(len(cohorts), 'cohort')}; "
        f"varied: {', '.join(varied(members)) or 'seed'}."
    )


def show_plan(zoo: Any, out: str, block: int | None, timed: bool) -> None:
    """What training a zoo in a directory would take; nothing is trained.

    Args:
      zoo: what would be trained.
      out: where.
      block: members per block instead of the recipe's.
      timed: compile some cohorts and train them for a moment.

    Raises:
      ValueError: the spec is bad, or nothing can be made there.
    """
    from zoo.buckets import is_remote
    from zoo.running.planning import plan
    from zoo.store.directory import check_place

    if not is_remote(out):
        check_place(Path(out))
    print_plan(zoo, plan(zoo, block, timed=timed, say=say))


def print_plan(zoo: Any, rows: list[Any]) -> None:
    """What a zoo would train: the values of what varies, and cohort by cohort."""
    from zoo.spec.member import varied

    for field, values in varied(zoo.members).items():
        different = [*dict.fromkeys(value for value in values if value is not None)]
        if all(type(value) in (int, float) for value in different):
            different.sort()
        shown = [f"{value:.4g}" if isinstance(value, float) else _shown(value) for value in different[:MOST_VALUES]]
        rest = ["..."] if len(different) > MOST_VALUES else []
        say(f"{field}: {', '.join([*shown, *rest])} ({counted(len(different), 'value')})")
    members, seconds = sum(row.members for row in rows), sum(row.seconds for row in rows)
    frame = {
        "cohort": [row.cohort for row in rows],
        "of networks with": [row.words for row in rows],
        "members": [row.members for row in rows],
        "steps": [row.steps for row in rows],
        "blocks": [row.blocks for row in rows],
        "recipe": [f"{row.recipe.inner} of {row.recipe.block}" for row in rows],
    }
    timed = not math.isnan(seconds)
    if timed:
        frame["MiB"] = ["" if math.isnan(row.megabytes) else f"{row.megabytes:.0f}" for row in rows]
        frame["seconds"] = [f"{row.seconds:.0f}" for row in rows]
    print_table([title for title, column in frame.items() if any(column)], zip(*filter(any, frame.values())))
    if timed and (unmeasured := sum(math.isnan(row.megabytes) for row in rows)):
        console.print(f"{counted(unmeasured, 'cohort')} without MiB, not measured: the seconds are the others' mean.")
    if unchecked := sum(not row.checked for row in rows):
        console.print(
            f"{counted(unchecked, 'cohort')} not checked for whether task and model fit together; training checks all "
            "before it begins."
        )
    if timed:
        flops = sum(row.flops for row in rows)
        say(
            f"{flops:.2g} operations: about {clock(seconds)} here; {clock(flops / ACCELERATOR)} on an accelerator that "
            f"does {ACCELERATOR:.0e} a second of them, which was not measured."
        )
    console.print(
        f"{zoo.name}: {counted(members, 'member')} in {counted(len(rows), 'cohort')}, "
        f"{counted(len(rows), 'program')} to compile{f', about {clock(seconds)}' if timed else ''} "
        f"and {sum(row.disk for row in rows):.0f} MiB of checkpoints. Nothing was trained."
        f"{'' if timed else ' For memory and time add --timed, which compiles some cohorts.'}",
        markup=False,
    )


def print_verified(directory: str, report: Any) -> None:
    """What reading every file has shown, a `zoo.store.verification.Verified`; an OSError where something is damaged."""
    for fault in report.faults:
        say(fault)
    left = f"; {report.unfinished} that were never finished" if report.unfinished else ""
    number, blocks = counted(report.checkpoints, "checkpoint"), counted(report.blocks, "block")
    say(f"{number} of {blocks}, {mebibytes(report.bytes)} read{left}.")
    if report.faults:
        raise OSError(f"{counted(len(report.faults), 'fault')} in {directory}; each says what to do.")
    say("All as they were written.")


def print_zoo(trained: Any) -> None:
    """The cohorts of a zoo directory, with how its members fared, and its member table."""
    from zoo.spec.member import BEGINS_FROM, MEMBER_COLUMNS, set_apart

    table, rows = trained.members, []
    fields = {name: table[name].tolist() for name in table if name not in (*MEMBER_COLUMNS, BEGINS_FROM)}
    words = set_apart(table["cohort"].tolist(), [*zip(table["task"], table["model"])], fields)
    for cohort, group in table.groupby("cohort", sort=False):
        recipe = trained.manifest["cohorts"].get(cohort, {}).get("recipe") or {}
        status = group["status"].value_counts()
        counts = (len(group), status.get(SOLVED_WORD, 0), status.get(DIVERGED_WORD, 0))
        how = f"{recipe.get('inner', '-')} of {recipe.get('block', '-')}"
        rows.append((cohort, words[cohort], *counts, float(group["score"].median()), how))
    titles = ["cohort", "of networks with", "members", "solved", "diverged", "median score", "recipe"]
    if not any(words.values()):
        titles, rows = [titles[0], *titles[2:]], [(row[0], *row[2:]) for row in rows]
    print_table(titles, rows)
    members = table.drop(columns="cohort")
    print_table(list(members.columns), members.itertuples(index=False), f"\n{counted(len(members), 'member')}")


def print_member(trained: Any, member: str) -> None:
    """A member's state, hyperparameters and curve."""
    from zoo.store.manifest import begun_from, tried_again
    from zoo.store.members import full_id

    member = full_id(trained.path, trained.members["member"].tolist(), member)
    fields = trained.fields_of(member)
    seed = fields.pop("seed")
    row = trained.members.set_index("member").loc[member]
    say(f"{member}: {row['status']} after {row['steps']} steps, score {row['score']:.4f}")
    for section, values in fields.items():
        say(f"  {section}: {', '.join(_words(values))}")
    console.print(f"  seed: {seed}")
    for old, again in tried_again(trained.manifest).items():
        for new in again:
            if member in (old, new):
                say(f"  {'tried again as ' + new if member == old else old + ' tried again'}")
    if old := begun_from(trained.manifest).get(member):
        say(f"  begun where {old} ended; its curve up to there is that one's")
    curves = trained.curves
    curve = curves[curves["member"] == member].drop(columns="member")
    print_table(list(curve.columns), curve.itertuples(index=False))


def _words(values: dict[str, Any]) -> list[str]:
    """The fields of a section, as a line says them."""
    words = []
    for name, value in values.items():
        if isinstance(value, dict):  # a rule that this one holds
            below = {key: each for key, each in value.items() if key != "name"}
            words += [f"{name}={value['name']}", *(f"{name}.{each}" for each in _words(below))]
        else:
            words.append(f"{name}={tuple(value) if isinstance(value, list) else value}")
    return words


LONG = 300
"""Rows from which on a table is set plainly: rich takes half a second for a thousand."""


def print_table(columns: Sequence[str], rows: Iterable[Iterable[Any]], title: str | None = None) -> None:
    """Rows under the names of their columns."""
    texts = [[f"{v:.5g}" if isinstance(v, float) else plain(v) for v in row] for row in rows]
    if len(texts) > LONG:
        widths = [max(map(len, column)) for column in zip(columns, *texts)]
        lines = ("  ".join(t.ljust(w) for t, w in zip(row, widths)).rstrip() for row in ([*columns], *texts))
        print(*([title] if title else []), *lines, sep="\n", file=console.file)
        return
    table = Table(box=None, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in texts:
        table.add_row(*map(escape, row))
    console.print(table)
