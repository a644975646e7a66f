"""Every command explains itself: one sentence, one example that can be pasted, an environment variable for each option."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from console.cli import main
from tieout.errors import ExitCode

EXAMPLE = re.compile(r"^\s*Example: (tieout.*)$", re.MULTILINE)


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = dict(commands())
ANSWERING = {
    name: command for name, command in ALL.items() if not isinstance(command, click.Group) and name != "psql"
}


def parse(line: str) -> click.Command:
    """The command that a line names, with all its arguments accepted."""
    program, *words = shlex.split(line)
    assert program == "tieout"
    command: click.Command = main
    context = main.make_context(program, words)
    while isinstance(command, click.Group):
        words = [*context._protected_args, *context.args]
        name, found, rest = command.resolve_command(context, words)
        assert found is not None
        command = found
        context = command.make_context(name, list(rest), parent=context)
    return command


@pytest.mark.parametrize("name", ALL)
def test_help_opens_with_one_sentence(name: str) -> None:
    first, _, rest = (ALL[name].help or "").partition("\n")

    assert first[:1].isupper()
    assert first.rstrip().endswith(".")
    assert rest.startswith("\n")


@pytest.mark.parametrize("name", ALL)
def test_the_example_in_the_help_is_accepted_and_is_of_this_command(name: str) -> None:
    found = EXAMPLE.search(ALL[name].help or "")

    assert found is not None, f"`tieout {name} --help` has no example"
    parsed = parse(found[1])
    group = ALL[name]
    assert parsed is group or (isinstance(group, click.Group) and parsed in group.commands.values())


@pytest.mark.parametrize("name", ANSWERING)
def test_every_command_that_answers_takes_json_and_a_settings_file(name: str) -> None:
    options = {word for parameter in ANSWERING[name].params for word in parameter.opts}

    assert {"--json", "--settings"} <= options


@pytest.mark.parametrize("name", ANSWERING)
def test_every_option_is_explained(name: str) -> None:
    silent = [
        option.name
        for option in ANSWERING[name].params
        if isinstance(option, click.Option) and not option.hidden and not option.help
    ]

    assert silent == []


def test_an_option_can_be_set_by_an_environment_variable(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)

    done = CliRunner().invoke(main, ["plan"], env={"TIEOUT_PLAN_LIMIT": "many"})

    assert done.exit_code == ExitCode.USAGE
    assert "'many' is not a valid integer" in done.stderr


def test_help_lists_every_exit_code_and_every_command() -> None:
    shown = CliRunner().invoke(main, ["--help"]).stdout

    assert [int(code) for code in re.findall(r"^ {4}(\d)  ", shown, re.MULTILINE)] == [
        code.value for code in ExitCode
    ]
    assert all(re.search(rf"^  {re.escape(name)} ", shown, re.MULTILINE) for name in main.commands)


@pytest.mark.parametrize("line", ["frobnicate", "load --nonsense", "show", "plan --limit -1"])
def test_a_command_that_is_called_wrongly_ends_with_2(line: str) -> None:
    done = CliRunner().invoke(main, shlex.split(line))

    assert done.exit_code == ExitCode.USAGE
    assert done.stdout == ""
    assert "Usage: " in done.stderr
