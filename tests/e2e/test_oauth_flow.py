"""The four stories of OAuth, and wrong programs that they must notice.

A wrong program is the package with one small change of its text, in a copy; its story is told in a process of its own.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.e2e import login_story, token_story
from tests.parity.mutants import Mutant, judged, mutated_source

from palmbot.settings import Environment

TOKENS, LOGIN, VAULT, FILES = (
    f"adapters/{name}.py" for name in ("tokens", "oauth_login", "token_vault", "private_file")
)

MUTANTS = {
    "login_story demo": (
        Mutant(
            "demo uses the application of live",
            "config/credentials.py",
            '"CTRADER_CLIENT_ID_DEMO", "CTRADER_CLIENT_SECRET_DEMO"',
            '"CTRADER_CLIENT_ID_LIVE", "CTRADER_CLIENT_SECRET_LIVE"',
        ),
        Mutant(
            "the listener takes a code from any path",
            "adapters/oauth_listener.py",
            'if hosts != [self._redirect.parts.netloc] or target.partition("?")[0] != self._redirect.parts.path:\n'
            '            return 404, "There is no such page."',
            'if "code=" in target and not self._brought.done():\n'
            '            self._brought.set_result(target.partition("code=")[2])\n'
            '            return 404, "There is no such page."',
        ),
        Mutant(
            "an account that is not there is replaced by the first that is",
            LOGIN,
            "    if not found:\n",
            "    found = found or list(granted.accounts[:1])\n    if not found:\n",
        ),
    ),
    "login_story live": (
        Mutant(
            "live tokens are filed under demo",
            "bootstrap/token_store.py",
            "TokenVault(settings.folder, environment, seal)",
            'TokenVault(settings.folder, "demo", seal)',
        ),
        Mutant(
            "an account of the other environment will do",
            LOGIN,
            "if found[0].is_live != (environment is Environment.LIVE):",
            "if found[0].is_live and environment is not Environment.LIVE:",
        ),
    ),
    "token_story refresh": (
        Mutant(
            "an error that comes with status 200 is no error",
            "adapters/oauth.py",
            'if answer.get("errorCode"):',
            'if answer.get("error"):',
        ),
        Mutant(
            "the old refresh token is kept",
            TOKENS,
            "refresh_token=pair.refresh_token,",
            "refresh_token=tokens.refresh_token,",
        ),
        Mutant(
            "the request is not noted before it is made",
            TOKENS,
            "            self._store.save(tokens)\n            pair = self._asked(tokens)",
            "            pair = self._asked(tokens)",
        ),
        Mutant(
            "the new pair is used and not written",
            TOKENS,
            "            self._store.save(tokens)\n            return tokens",
            "            return tokens",
        ),
        Mutant(
            "any refusal of an account renews",
            TOKENS,
            "if reaction_of(code) is not Reaction.TOKEN:",
            "if not code:",
        ),
    ),
    "token_story persistence": (
        Mutant(
            "the file is written in its place",
            FILES,
            'fresh = path.with_name(f"{path.name}.new")\n    make_private_folder',
            "fresh = path\n    make_private_folder",
        ),
        Mutant(
            "nobody minds that others can read",
            FILES,
            "if stat.S_IMODE(status.st_mode) & banned:",
            "if stat.S_IMODE(status.st_mode) & banned & stat.S_IWOTH:",
        ),
        Mutant("the lock lets two in", VAULT, "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB"),
        Mutant(
            "the environment is not sealed in",
            "adapters/token_seal.py",
            'f"palmbot tokens {VERSION} {self._environment}"',
            'f"palmbot tokens {VERSION}"',
        ),
    ),
}


async def test_oauth_demo_flow(tmp_path: Path) -> None:
    await login_story.tell(tmp_path, Environment.DEMO)


async def test_oauth_live_flow(tmp_path: Path) -> None:
    await login_story.tell(tmp_path, Environment.LIVE)


async def test_token_refresh(tmp_path: Path) -> None:
    await token_story.refresh(tmp_path)


async def test_token_persistence(tmp_path: Path) -> None:
    await token_story.persistence(tmp_path)


def told(story: str, mutant: Mutant | None, folder: Path) -> subprocess.CompletedProcess[str]:
    """Tell a story to the program with ``mutant`` in it."""
    module, part = story.split()
    (folder / "told").mkdir(mode=0o700)
    return judged(mutated_source(folder, mutant), ("-m", f"tests.e2e.{module}", part, str(folder / "told")))


@pytest.mark.parametrize("story", ["login_story live", "token_story refresh"])
def test_the_right_program_passes_in_a_process_of_its_own(story: str, tmp_path: Path) -> None:
    verdict = told(story, None, tmp_path)
    assert verdict.returncode == 0, verdict.stderr


@pytest.mark.parametrize(
    ("story", "mutant"),
    [pytest.param(story, mutant, id=mutant.name) for story, mutants in MUTANTS.items() for mutant in mutants],
)
def test_a_wrong_program_is_noticed(story: str, mutant: Mutant, tmp_path: Path) -> None:
    verdict = told(story, mutant, tmp_path)
    assert verdict.returncode == 1, f"nobody noticed: {mutant.name}\n{verdict.stderr}"
    assert not re.search(r"^(Syntax|Name|Import|Attribute)Error", verdict.stderr, re.MULTILINE), verdict.stderr
