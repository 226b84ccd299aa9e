"""Launching: SkyPilot takes the checked-in file, and every command in it and in the guide is one of run_zoo.py."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import tyro
import yaml

import run_zoo
from zoo.buckets import is_remote
from zoo.spec.flags import take_overrides

ROOT = Path(__file__).parent.parent
FILE = "docs/launch/skypilot.yaml"
TASK: dict[str, Any] = yaml.safe_load((ROOT / FILE).read_text())
GUIDE = (ROOT / "docs" / "launching.md").read_text()

# What a file may hold at its top and in `resources`: the schemas of SkyPilot 0.14.1, without what is internal.
TOP = {
    "name",
    "workdir",
    "num_nodes",
    "resources",
    "envs",
    "secrets",
    "file_mounts",
    "volumes",
    "setup",
    "run",
    "config",
}
RESOURCES = {
    *("infra", "accelerators", "accelerator_args", "use_spot", "job_recovery", "instance_type", "cpus", "memory"),
    *("disk_size", "disk_tier", "network_tier", "image_id", "ports", "labels", "any_of", "ordered"),
}
RECOVERY = {"strategy", "max_restarts_on_errors", "recover_on_exit_codes"}
RUNTIMES = {"tpu-v5litepod": "v2-alpha-tpuv5-lite", "tpu-v5p": "v2-alpha-tpuv5", "tpu-v6e": "v2-alpha-tpuv6e"}


def commands(text: str) -> list[str]:
    """What follows `run_zoo.py` in every command of a text, up to what ends a command, variables filled in."""
    joined = re.sub(r"\\\n\s*", "", text)
    found = re.findall(r"python run_zoo\.py ((?:\"\$\w+\"|[^\"`&|;#\n])+)", joined)
    return [re.sub(r"\$\{?\w+\}?", "1", command).strip() for command in found]


def parsed(command: str) -> Any:
    """A command of run_zoo.py, as `main` reads it; nothing runs."""
    words, _ = take_overrides(shlex.split(command))
    return tyro.extras.subcommand_cli_from_dict(run_zoo.COMMANDS, args=words, prog="run_zoo.py")


def test_the_skypilot_file_has_only_keys_that_skypilot_knows() -> None:
    assert {"name", "workdir", "resources", "envs", "setup", "run"} <= TASK.keys() <= TOP
    assert TASK["resources"].keys() <= RESOURCES
    assert TASK["resources"]["accelerator_args"].keys() <= {
        "runtime_version",
        "tpu_name",
        "tpu_vm",
        "gcp_queued_resource",
    }
    assert all(isinstance(value, str) for value in TASK["envs"].values())


def test_it_runs_on_a_spot_tpu_whose_image_fits() -> None:
    resources = TASK["resources"]
    assert resources["use_spot"] is True
    assert resources["accelerator_args"]["runtime_version"] == RUNTIMES[resources["accelerators"].rpartition("-")[0]]


def test_it_is_started_again_after_it_was_stopped_and_not_after_bad_input() -> None:
    recovery = TASK["resources"]["job_recovery"]
    assert recovery.keys() <= RECOVERY
    assert recovery["recover_on_exit_codes"] == [143]
    assert not recovery.get("max_restarts_on_errors")


@pytest.mark.parametrize("script", ["setup", "run"])
def test_its_scripts_use_only_variables_that_it_declares(script: str) -> None:
    used = set(re.findall(r"\$\{?(\w+)", TASK[script]))
    assert {name for name in used if not name.startswith("SKYPILOT_")} <= TASK["envs"].keys()


def test_its_command_is_one_of_run_zoo_and_what_it_says_to_change_is_in_it() -> None:
    (command,) = commands(TASK["run"])
    assert isinstance(parsed(command), run_zoo.Train)
    assert set(re.findall(r"\$\{?(\w+)", TASK["run"])) == TASK["envs"].keys()


def test_it_does_not_compare_in_a_bucket() -> None:
    (command,) = commands(TASK["run"])
    assert not (is_remote(TASK["envs"]["OUT"]) and isinstance(parsed(command), run_zoo.Run))


def test_it_installs_an_extra_that_there_is() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"\.\[(\w+)\]", TASK["setup"])) <= extras.keys()


def test_the_guide_names_the_file() -> None:
    assert f"sky jobs launch {FILE} " in GUIDE
    assert {f"--env {name}=" for name in TASK["envs"]} <= set(re.findall(r"--env \w+=", GUIDE))


@pytest.mark.parametrize("command", commands(GUIDE.replace("bin/python", "python")))
def test_every_command_of_the_guide_is_one_of_run_zoo(command: str) -> None:
    assert parsed(command)


def test_no_command_of_the_guide_is_overlooked() -> None:
    assert len(commands(GUIDE.replace("bin/python", "python"))) == GUIDE.count("run_zoo.py ") >= 8


def test_a_wrong_flag_would_be_found(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        parsed("train demo --out zoos/demo --graze 25")
    assert "--graze" in capsys.readouterr().err


def test_every_flag_that_the_guide_speaks_of_is_one_of_run_zoo(capsys: pytest.CaptureFixture) -> None:
    # Flags of other tools stand with their tool, in one pair of backticks.
    prose = "\n".join(line for line in GUIDE.splitlines() if not line.startswith("    "))
    spoken = [span for span in re.findall(r"`([^`]+)`", prose) if span.startswith("--")]
    with pytest.raises(SystemExit, match="0"):
        parsed("run --help")
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    assert {"--grace", "--save-every", "--engine"} <= {flag for span in spoken for flag in span.split()}
    assert {flag for span in spoken for flag in re.findall(r"--[a-z][a-z-]+", span)} <= known
