"""A study from nothing to its page: train, compare, assay, report, ask every claim.

Each stage goes on where it was killed, and says so where it was done: training from its checkpoints, assays by their
keys, and comparisons by a key beside the directory's own files, `analysis/.studied.json`, of all that decides them.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import pandas as pd

from analysis import artefacts
from analysis.engine.journal import result_key
from analysis.engine.progress import SILENT, Progress, telling
from analysis.engine.sources import source_hash
from analysis.measures import _choice
from analysis.report.assay_results import ASSAY_PREFIX
from analysis.report.choices import USUAL
from analysis.report.figures import style
from analysis.report.writing import report
from analysis.studies import Question
from analysis.studies._answers import UNDECIDED, Answer, unanswered
from analysis.studies._page import CLAIM_COLUMNS, claim_lines, page
from analysis.studies._results import ALL, ASKED_STATES, BEFORE, SOLVED, Results
from analysis.zoo_assays import assay_of, assay_zoo, left_out
from analysis.zoo_comparison import Request, compare_zoo
from zoo import lookup
from zoo.files import write_atomically
from zoo.spec.contracts import made
from zoo.spec.fields import checked, name_of
from zoo.store.reader import Trained, load
from zoo.training.status import DIVERGED_WORD, SOLVED_WORD, UNFINISHED
from zoo.wording import clock, counted

__all__ = ["CLAIMS", "PAGE", "run_study", "study_of"]

CLAIMS, PAGE = "claims.csv", "study.html"
"""Files of a study, in its directory."""

STUDIED = ".studied.json"
"""The file that says which comparisons of a study are done, by their keys."""

OWN_PICTURES = "study-"
"""What the pictures of a study itself start with."""

MOST_PICTURES = 60
"""That the page shows: of more, those of assays and the first of each comparison."""


def study_of(name: str, options: Mapping[str, Any] | None = None) -> Any:
    """A study from its name and some of its options, checked.

    Raises:
      ValueError: there is no such study or option, the option's value is not allowed, or the study's file breaks the
        contract.
    """
    return made("study", name, options or {})


def run_study(
    study: Any,
    out: str | os.PathLike[str] = "",
    on: str | os.PathLike[str] = "",
    say: Callable[[str], Any] = print,
) -> pd.DataFrame:
    """A whole study.

    Args:
      study: a `Study`, or its name.
      out: the zoo directory that it trains, new, or of this study to go on.
      on: instead, a zoo that was trained before, whatever its networks; nothing is trained.
      say: takes the lines for the terminal.

    Returns:
      The claims, with the columns `analysis.studies._page.CLAIM_COLUMNS`, as they were written.

    Raises:
      ValueError: both directories are given or none; the study trains no networks of its own, and `on` is not given.
    """
    study = study_of(study) if isinstance(study, str) else checked(study)
    begin, path = time.monotonic(), Path(out or on)
    if bool(str(out)) == bool(str(on)):
        raise ValueError("Give --out DIR, where its networks are trained, or --on DIR, a trained zoo: one of them.")
    if out:
        if (zoo := study.zoo()) is None:
            raise ValueError(f"The study {study_name(study)} trains no networks of its own; give it a zoo, --on DIR.")
        from zoo.running.run import train

        say(f"{study_name(study)}, {study.size}: {counted(len(zoo.members), 'member')} to train")
        train(zoo, path)
    trained = load(path)
    refused = [sentence for request in study.comparisons() for sentence in _compared(trained, request, say)]
    refused += [sentence for step in study.assays() for sentence in _assayed(path, step, say)]
    with telling(say) as progress:
        progress.doing("report, its tables and pictures")
        for line in report(path):
            progress.say(line)
        claims = asked(study, trained, progress)
        write_atomically(path / CLAIMS, claims.to_csv(index=False).encode())
        progress.doing("pictures of the study")
        _draw(study, trained, progress.say)
    about = [*facts(trained), *refused]
    title = f"{study_name(study)}: {study.source}"
    write_atomically(path / PAGE, page(title, about, study.ours, claims, _pictures(path)).encode())
    for line in (*about, *claim_lines(claims)):
        say(line)
    say(f"{path / PAGE}, {path / CLAIMS}: {clock(time.monotonic() - begin)}")
    return claims


def plan_study(
    study: Any, say: Callable[[str], Any], show: Callable[[Any, list[Any]], Any], on: str | os.PathLike[str] = ""
) -> None:
    """Tells what a study would ask and train; nothing is trained.

    Args:
      study: a `Study`.
      on: a zoo that was trained before, of which it would be asked.
      say: takes a line for every claim.
      show: takes the zoo and the rows of `zoo.running.planning.plan`, timed.
    """
    for claim, questions in _by_claim(study).items():
        say(f"{claim} ({counted(len(questions), 'statistic')})")
    if on:
        tasks = ", ".join(dict.fromkeys(load(Path(on)).members["task"]))
        say(f"Asked of the networks of {on}, whose tasks are {tasks}; nothing would be trained.")
        return
    zoo = study.zoo()
    if zoo is None:
        say(f"{study_name(study)} trains no networks of its own: --on DIR")
        return
    from zoo.running.planning import plan

    show(zoo, plan(zoo, timed=True, say=say))


def _by_claim(study: Any) -> dict[str, list[Question]]:
    """Claim -> the questions that ask it."""
    by_claim: dict[str, list[Question]] = {}
    for question in study.questions():
        by_claim.setdefault(question.claim, []).append(question)
    return by_claim


def study_name(study: Any) -> str:
    """The name of a study, as the command line has it."""
    return name_of(study).replace("_", "-")


def asked(study: Any, trained: Trained, progress: Progress = SILENT) -> pd.DataFrame:
    """Every claim, asked of all networks and of those that solved their task; the untrained value stands beside."""
    questions, rows = list(study.questions()), []
    results = {state: Results(trained, state) for state in ASKED_STATES}
    all_solved = len(results[SOLVED].members) == len(results[ALL].members)
    for question in progress.over(questions, "claims asked", len(questions)):
        untrained = _answer(question, results[BEFORE])
        of_all = _answer(question, results[ALL])
        of_solved = of_all if all_solved else _answer(question, results[SOLVED])
        for state, answer in ((SOLVED, of_solved), (ALL, of_all)):
            row = {name: getattr(question, name) for name in ("claim", "source", "statistic", "paper")}
            rows.append(row | answer._asdict() | dict(members=state, untrained=untrained.value))
    return pd.DataFrame(rows, columns=list(CLAIM_COLUMNS))


def _answer(question: Question, results: Results) -> Answer:
    """An answer; where it cannot be had, why."""
    try:
        answer = question.answer(results)
    except ValueError as error:
        if not lookup.says_itself(error):
            raise
        return unanswered(str(error))
    if not math.isfinite(answer.value):
        return answer._replace(verdict=UNDECIDED)
    return answer


def facts(trained: Trained) -> list[str]:
    """How many networks of each task were trained, solved it, and did not: a sentence per task."""
    sentences = []
    for task, rows in trained.members.groupby("task", sort=False):
        status: Any = rows["status"]
        words = [f"{int((status == SOLVED_WORD).sum())} of {counted(len(rows), 'network')} solved the task"]
        for word, what in ((DIVERGED_WORD, "diverged"), (UNFINISHED, "are not trained to their end")):
            if count := int(status.isin([word] if isinstance(word, str) else word).sum()):
                words.append(f"{count} {what}")
        missed: Any = rows[status != SOLVED_WORD]
        by_model = ", ".join(f"{count} {model}" for model, count in missed["model"].value_counts().items())
        sentences.append(f"{task}: {'; '.join(words)}{f'; not solved: {by_model}' if by_model else ''}.")
    return sentences


def _compared(trained: Trained, request: Request, say: Callable[[str], Any]) -> list[str]:
    """Compares, unless that was done of the same networks with the same code, and nobody has compared them otherwise
    since; a sentence where the comparison is refused."""
    tasks = [request.only] if request.only else list(dict.fromkeys(trained.members["task"]))
    modules = {type(_choice.measure(measure)).__module__ for measure in request.measures}
    modules |= {type(part).__module__ for member in trained.zoo.members for part in member.parts}
    sources = source_hash("analysis.zoo_comparison", *sorted(modules))
    words = [repr(request), sources, jax.__version__, trained.members.to_csv(index=False)]
    note = trained.path / artefacts.FOLDER / STUDIED
    done = json.loads(note.read_text()) if note.exists() else {}
    files = [artefacts.path_of(trained.path, task, artefacts.COMPARISON) for task in tasks]
    if (key := _key(words, files)) and done.get(",".join(tasks)) == key:
        say(f"{', '.join(tasks)}: was compared before")
        return []
    try:
        compare_zoo(trained.path, request, say)
    except ValueError as error:
        return [_refused("comparison", error, say)]
    write_atomically(note, json.dumps(done | {",".join(tasks): _key(words, files)}).encode())
    return []


def _key(words: Sequence[str], files: Sequence[Path]) -> str:
    """Of what decides a comparison, and of what stands in its files; "" where one is not there."""
    if not all(file.exists() for file in files):
        return ""
    return result_key([*words, *(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)], ())


def _refused(what: str, error: ValueError, say: Callable[[str], Any]) -> str:
    """Why something cannot be had, said; raised again where the error is none that the package raises."""
    if not lookup.says_itself(error):
        raise error
    say(f"{what}: {error}")
    return f"{what}: {error}"


def _assayed(path: Path, step: Any, say: Callable[[str], Any]) -> list[str]:
    """Assays; sentences where the assay refuses all networks, or some."""
    try:
        result = assay_zoo(path, assay_of(step.name, step.options), "last", say)
        return [f"{step.name}: {sentence}" for sentence in left_out(result)]
    except ValueError as error:
        return [_refused(step.name, error, say)]


def _draw(study: Any, trained: Trained, say: Callable[[str], Any]) -> None:
    """The study's own pictures; a line where one cannot be had."""
    if not hasattr(study, "figures"):
        return
    folder = trained.path / "figures"
    folder.mkdir(exist_ok=True)
    try:
        with style(USUAL):
            for name, figure in study.figures(Results(trained)):
                figure.savefig(folder / f"{OWN_PICTURES}{name}.png", bbox_inches="tight", metadata={"Software": None})
    except ValueError as error:
        _refused("a picture", error, say)


def _pictures(path: Path) -> list[Path]:
    """The pictures, relative to the directory: the study's own, those of assays, those of comparisons."""
    order = (OWN_PICTURES, ASSAY_PREFIX, "")
    figures = sorted(
        path.glob("figures/*.png"),
        key=lambda file: (next(i for i, start in enumerate(order) if file.name.startswith(start)), file.name),
    )
    return [file.relative_to(path) for file in figures[:MOST_PICTURES]]
