"""The documentation is true: what it names exists, what it lists is complete, what it draws is drawn anew."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import pytest
from tests import settings_tables
from typer.core import TyperGroup
from typer.main import get_command

from palmbot import errors
from palmbot.cli.main import app, execute
from palmbot.config import Sources, resolve
from palmbot.config.keys import ANYWHERE
from palmbot.config.sources import NO_SETTINGS
from palmbot.core.types import Reason
from palmbot.model import Trade
from palmbot.orders.lifecycle import diagram
from palmbot.research import output
from palmbot.research.statistics import Summary, trade_to_json

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "palmbot"
README = ROOT / "README.md"
OURS = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
ADRS = sorted((ROOT / "docs" / "adr").glob("*.md"))
SOURCE = "\n".join(file.read_text() for file in sorted(PACKAGE.rglob("*.py")))
ROOMS = sorted(
    {file.stem for file in PACKAGE.glob("[a-z]*.py")} | {file.parent.name for file in PACKAGE.glob("*/__init__.py")}
)
# files that the program writes or a person does
WRITTEN_LATER = {"palmbot.toml", "run.json", "best_params.json", "walk_forward.json", "analysis.json"}
EVERY_COMMAND = {"--json", "--config", "--verbose", "--help"}
WITHOUT_EFFECT = {"--host", "--port", "--no-web"}

# What may be named only to say that it is not there, until the module or command that brings it exists.
FUTURE = {
    r"\bdashboard\b": "palmbot.web",
    r"\bOAuth\b": "palmbot.adapters.oauth",
    r"\b(Perplexity|RSS)\b": "palmbot.adapters.perplexity",
    r"\bPostgreSQL\b": "psycopg",
    r"\bDask\b": "dask",
    r"\b(optimi[sz]\w+|walk-forward|genetic)\b": "optimize",
    r"\b(TLS|protobuf)\b": "palmbot.protocol",
    r"\b(broker connection|connection to a broker|--env (demo|live)|dry[- ]run)\b": "palmbot.adapters.ctrader",
    r"\bin virtual time\b": "palmbot.simulation",
    r"\bpalmbot auth\b": "auth login",
    **{
        rf"\bpalmbot {name}\b": name
        for name in ("audit", "parity", "simulate", "reconcile", "halt", "resume", "flatten")
    },
}
DENIAL = re.compile(r"\b(no|not|nothing|never|without|yet|refused?|refuses|rejected|cannot)\b", re.IGNORECASE)


def prose(file: Path) -> str:
    """Return the text of ``file`` without its code blocks."""
    return re.sub(r"(?ms)^```.*?^```$", "", file.read_text())


def blocks(file: Path, language: str) -> list[str]:
    """Return the code blocks of ``language`` in ``file``."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", file.read_text())


def spans(file: Path) -> list[str]:
    """Return what stands between back-ticks in the prose of ``file``."""
    return re.findall(r"`([^`\n]+)`", prose(file))


def anchors(file: Path) -> set[str]:
    """Return the anchors that a reader's browser makes of the headings of ``file``."""
    titles = re.findall(r"(?m)^#+ (.+)$", prose(file))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands() -> dict[str, set[str]]:
    """Return the options of every command of the program, help and shared ones left out, by its words."""
    found: dict[str, set[str]] = {}
    pending = [("", get_command(app))]
    while pending:
        words, command = pending.pop()
        if isinstance(command, TyperGroup):
            pending += [(f"{words} {name}".strip(), inner) for name, inner in command.commands.items()]
        else:
            options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
            found[words] = options - EVERY_COMMAND
    return found


class Line(NamedTuple):
    """A command line as the documentation writes it."""

    words: str
    options: set[str]


def line_of(text: str) -> Line:
    """Return the command and the options of ``text``, which begins with ``palmbot``."""
    parts = shlex.split(text.replace("[", " ").replace("]", " "), comments=True)[1:]
    known = max((words for words in commands() if parts[: len(words.split())] == words.split()), key=len, default="")
    return Line(known, {part for part in parts if part.startswith("--")})


def statements(file: Path) -> Iterator[str]:
    """Yield the sentences (up to a full stop or a colon) and table rows of ``file``."""
    for paragraph in re.split(r"\n\s*\n", prose(file)):
        for piece in re.split(r"\n(?=\s*(?:[-*|]|\d+\.) ?)", paragraph):
            yield from [piece] if piece.startswith("|") else re.split(r"(?<=[.:])\s+", piece)


def exists(what: str) -> bool:
    """Return whether the module or command ``what`` is there."""
    return what in commands() or importlib.util.find_spec(what) is not None


def resolved(name: str) -> object:
    """Return what ``name``, a dotted name inside the package, stands for.

    Raises:
        AttributeError: there is no such thing.
    """
    parts = ["palmbot", *name.split(".")]
    for size in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:size]))
        except ModuleNotFoundError:
            continue
        return reduce(getattr, parts[size:], module)
    raise AttributeError(name)


def test_the_lifecycle_diagram_is_the_tables() -> None:
    assert blocks(ROOT / "docs" / "journey-of-an-order.md", "mermaid") == [f"{diagram()}\n"]


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_every_link_inside_the_project_leads_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(file)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        there = (file.parent / path).resolve() if path else file
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_every_file_that_is_named_exists(file: Path) -> None:
    for span in spans(file):
        if re.fullmatch(r"[\w./-]+\.(py|md|toml|json)", span) and Path(span).name not in WRITTEN_LATER:
            assert (ROOT / span).exists() or (PACKAGE / span).exists(), span


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_every_name_in_the_code_exists(file: Path) -> None:
    for span in spans(file):
        if re.fullmatch(rf"({'|'.join(ROOMS)})(\.\w+)+", span) and not span.endswith((".csv", ".sqlite")):
            assert resolved(span) is not None, span
        elif re.fullmatch(r"_[a-z]+_\w+|_[a-z]{3,}", span):
            assert re.search(rf"(def|class) {span}\b", SOURCE), span
        elif re.fullmatch(r"PALMBOT_\w+", span) and span not in NO_SETTINGS:
            assert span.removeprefix("PALMBOT_").lower().replace("__", ".") in ANYWHERE, span
        elif re.fullmatch(r"[A-Z][A-Z_]{5,}", span):
            assert re.search(rf"\b{span}\b", SOURCE), span


def test_a_name_that_does_not_exist_is_noticed() -> None:
    with pytest.raises(AttributeError):
        resolved("live.startup.recovered")
    with pytest.raises(AttributeError):
        resolved("orders.book.Book.applied")
    assert not exists("palmbot.adapters.nothing")
    assert line_of("palmbot data check FILE [--set K=V]") == Line("data check", {"--set"})


def test_the_readme_lists_every_command_with_every_option_that_does_something() -> None:
    rows = re.findall(r"(?m)^\| `(palmbot [^`]+)` \|", README.read_text())
    listed = {line.words: line.options for line in map(line_of, rows)}
    assert len(listed) == len(rows)
    assert listed == {words: options - WITHOUT_EFFECT for words, options in commands().items()}


def test_the_readme_says_which_options_do_nothing_yet() -> None:
    limits = README.read_text().partition("## Limits")[2].partition("\n## ")[0]
    assert {option for option in WITHOUT_EFFECT if f"`{option}`" not in limits} == set()


@pytest.mark.parametrize("words", sorted(commands()))
def test_every_commands_help_shows_its_options(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([*words.split(), "--help"]) == 0
    shown = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
    assert commands()[words] | EVERY_COMMAND <= shown


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_every_command_line_could_be_typed(file: Path) -> None:
    targets = re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text())
    typed = [line for block in blocks(file, "sh") for line in block.splitlines() if line]
    typed += [span for span in spans(file) if span.startswith(("palmbot ", "make "))]
    for text in typed:
        program, _, rest = text.partition(" ")
        assert program in {"palmbot", "make"}, text
        if program == "make":
            assert rest.split()[0] in targets, text
        elif not rest.startswith("--"):
            line = line_of(text)
            assert line.words, text
            assert line.options <= commands()[line.words] | EVERY_COMMAND, text


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_every_configuration_that_is_shown_is_understood(file: Path, tmp_path: Path) -> None:
    for text in blocks(file, "toml"):
        (tmp_path / "shown.toml").write_text(text)
        tables = tomllib.loads(text)
        for related in tables.get("data", {}).get("related", {}).values():
            (tmp_path / related["file"]).touch()  # must exist
        for name in tables.get("profile", {"rsi_sentiment": {}}):
            for instrument in tables.get("instrument", {"palm_oil": {}}):
                options = {"--profile": name, "--symbol": instrument}
                resolve(Sources(tmp_path, {}, tmp_path / "shown.toml", options=options))


@pytest.mark.parametrize("name", sorted(settings_tables.TABLES))
def test_every_setting_is_listed_as_it_is(name: str) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    shown = re.findall(rf"<!-- table: {name} -->\n(.*?)\n\n", text, re.DOTALL)
    assert shown == [settings_tables.TABLES[name]()]


def test_every_number_of_a_summary_is_explained() -> None:
    text = (ROOT / "docs" / "backtest.md").read_text()
    names = {field.name for field in fields(Summary)} - {"closed"}
    names |= {*output.TRADE_COLUMNS, *output.EQUITY_COLUMNS, *trade_to_json(Trade(*[1] * len(fields(Trade))))}
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_every_reason_is_explained() -> None:
    text = (ROOT / "docs" / "backtest.md").read_text()
    assert {reason.name for reason in Reason if f"`{reason.name}`" not in text} == set()


def test_the_exit_codes_are_those_of_the_errors() -> None:
    table = README.read_text().partition("| exit code |")[2].partition("\n\n")[0]
    raised = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")}
    assert {int(code) for code in re.findall(r"(?m)^\| (\d+) \|", table)} == {0, 130} | raised


def test_the_rings_are_those_of_the_contract() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    shown = re.findall(r"(?ms)^```\n(cli >.*?)\n```$", text)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "rings")
    lines = [[room for room in (part.strip("() ") for part in layer.split("|")) if room in ROOMS] for layer in layers]
    assert [" ".join(each.split()) for each in shown] == [" > ".join(" | ".join(line) for line in lines if line)]


def test_every_room_has_its_row() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text.partition("| room |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"(?m)^\| `(\w+)` \|", table)) == ROOMS


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_what_is_not_built_is_named_only_to_say_so(file: Path) -> None:
    absent = [word for word, bringer in FUTURE.items() if not exists(bringer)]
    for said in statements(file):
        for word in absent:
            assert not re.search(word, said) or DENIAL.search(said), said


def test_decisions_are_numbered_and_say_why() -> None:
    assert [file.name[:5] for file in ADRS] == [f"{number:04d}-" for number in range(1, len(ADRS) + 1)]
    for file in ADRS:
        text = file.read_text()
        assert text.startswith(f"# {file.name[:4]} "), file.name
        assert re.findall(r"(?m)^## (.+)$", text) == ["Context", "Decision", "Consequences", "Rejected"], file.name


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_the_text_is_plain(file: Path) -> None:
    for number, line in enumerate(file.read_text().splitlines(), 1):
        assert len(line) <= 120 or line.startswith("|"), f"line {number}"
        assert not re.search("[\u2600-\u27bf\U0001f000-\U0001faff]", line), f"line {number}"
