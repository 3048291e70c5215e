"""Certificates opened in a process of their own: what comes back, and how it may go wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fabric.certificates import envelope, issue_set, pfx
from tests.support.clock import ManualClock
from tests.support.runner import Answer, ScriptedRunner, fails, missing, ok, times_out
from waagent.cli.arguments import opening_word
from waagent.core.clock import SystemClock
from waagent.core.commands import Begun, ProcessRunner
from waagent.core.errors import CryptoError
from waagent.core.system import System
from waagent.protocol.bundle import Bundle, render_bundle
from waagent.protocol.opener import (
    GAVE_UP,
    STAND_BY_WITHIN_S,
    OpenerBeside,
    open_in_process,
)
from waagent.protocol.transport import make_transport_certificate

PROJECT = Path(__file__).resolve().parents[3]
COMMAND = ("waagent", "-open-certificates:/key")
NOTHING = render_bundle(Bundle(())).decode()


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Path]:
    """What the fabric sends, and the file of the key that opens it."""
    private, certificate = make_transport_certificate(SystemClock().now())
    path = tmp_path_factory.mktemp("keys") / "TransportPrivate.pem"
    path.write_bytes(private)
    return envelope(pfx(issue_set()), x509.load_pem_x509_certificate(certificate)), path


@pytest.fixture
def system(tmp_path: Path) -> System:
    """This machine's processes, which find the agent."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return System(tmp_path, ProcessRunner(environment), SystemClock(), environment)


@pytest.fixture
def descriptors() -> Iterator[None]:
    """No descriptor is left open."""
    before = sorted(Path("/proc/self/fd").iterdir())
    yield
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def opener(system: System, key: Path) -> OpenerBeside:
    """One that starts the agent of this source tree."""
    return OpenerBeside(system, (sys.executable, "-m", "waagent", opening_word(str(key))))


def scripted(folder: Path, answer: Answer) -> OpenerBeside:
    """One whose process ends so."""
    return OpenerBeside(System(folder, ScriptedRunner({COMMAND: answer}), ManualClock()), COMMAND)


@pytest.mark.usefixtures("descriptors")
def test_process_beside_finds_what_this_one_would(
    system: System, sealed: tuple[bytes, Path]
) -> None:
    data, key = sealed
    bundle = opener(system, key)(data)
    assert bundle == open_in_process(key)(data)
    assert [pair.has_private_key for pair in bundle.pairs] == [True, False]


@pytest.mark.usefixtures("descriptors")
def test_process_that_stands_by_is_used_once_and_another_started_then(
    system: System, sealed: tuple[bytes, Path]
) -> None:
    data, key = sealed
    one = opener(system, key)
    one.stand_by()
    one.stand_by()
    assert one(data) == one(data)


@pytest.mark.usefixtures("descriptors")
def test_process_that_is_not_needed_is_ended(system: System, sealed: tuple[bytes, Path]) -> None:
    one = opener(system, sealed[1])
    one.dismiss()
    one.stand_by()
    one.dismiss()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    assert children == ""


class CountingRunner(ScriptedRunner):
    """Counts what was begun, whether it was finished or not."""

    begun = 0

    def begin(self, argv: tuple[str, ...]) -> Begun:
        """See ``Runner.begin``."""
        self.begun += 1
        return super().begin(argv)


def test_process_that_stands_by_for_long_is_replaced_before_it_ends_by_itself(
    tmp_path: Path,
) -> None:
    clock, runner = ManualClock(), CountingRunner({COMMAND: ok(NOTHING)})
    one = OpenerBeside(System(tmp_path, runner, clock), COMMAND)
    for seconds, begun in ((0.0, 1), (STAND_BY_WITHIN_S / 2, 1), (1.0, 2), (1.0, 2)):
        clock.advance(seconds)
        one.stand_by()
        assert runner.begun == begun
    assert one(b"") == Bundle(())
    assert runner.begun == 2


def test_process_that_gave_up_waiting_is_started_again(tmp_path: Path) -> None:
    runner = CountingRunner({COMMAND: (fails(GAVE_UP), ok(NOTHING))})
    one = OpenerBeside(System(tmp_path, runner, ManualClock()), COMMAND)
    one.stand_by()
    assert one(b"") == Bundle(())
    assert runner.begun == 2


def test_process_that_nothing_is_read_to_ends_by_itself(sealed: tuple[bytes, Path]) -> None:
    script = (
        "import sys; from pathlib import Path; from waagent.protocol.opener import serve;"
        "serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer, stand_by_s=0.1)"
    )
    argv = (sys.executable, "-c", script, str(sealed[1]))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, cwd=PROJECT) as process:
        assert process.wait(60) == GAVE_UP


def test_failure_has_the_words_that_it_would_have_here(
    system: System, sealed: tuple[bytes, Path]
) -> None:
    _, key = sealed
    with pytest.raises(CryptoError) as here:
        open_in_process(key)(b"no envelope")
    with pytest.raises(CryptoError) as beside:
        opener(system, key)(b"no envelope")
    assert beside.value.message == here.value.message


def test_missing_transport_key_is_named(system: System, tmp_path: Path) -> None:
    with pytest.raises(CryptoError, match=r"FileNotFoundError: .*/nowhere\.pem"):
        opener(system, tmp_path / "nowhere.pem")(b"")


def test_process_that_does_not_end_is_told_without_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(CryptoError, match="cannot open the certificates: that took over 120 s"):
        scripted(tmp_path, times_out())(b"")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (fails(1, "Traceback\n  ModuleNotFoundError: cryptography\n"), r"1 \(.*: cryptography\)"),
        (fails(-9), r"-9 \(\)"),
        (missing(), r"-1 \(.*No such file"),
    ],
    ids=["crash", "killed", "missing"],
)
def test_process_that_fails_is_told_with_its_last_words(
    tmp_path: Path, answer: Answer, why: str
) -> None:
    with pytest.raises(CryptoError, match=f"the helper ended with {why}"):
        scripted(tmp_path, answer)(b"")


@given(said=st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_process_may_say_anything_and_it_is_bundle_or_crypto_error(
    tmp_path: Path, said: str
) -> None:
    with pytest.raises(CryptoError):
        scripted(tmp_path, ok(said))(b"")
