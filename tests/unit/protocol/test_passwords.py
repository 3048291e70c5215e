"""Passwords opened in a process of their own: what comes back, and how it may go wrong."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fabric.certificates import AES
from tests.fabric.sealing import seal_password
from tests.support.clock import ManualClock
from tests.support.runner import Answer, ScriptedRunner, fails, missing, ok, times_out
from waagent.cli.arguments import Command, opening_word
from waagent.core.clock import SystemClock
from waagent.core.commands import ProcessRunner
from waagent.core.errors import CryptoError
from waagent.core.system import System
from waagent.protocol.passwords import (
    PasswordsBeside,
    open_passwords_in_process,
    serve_passwords,
)
from waagent.protocol.transport import make_transport_certificate

PROJECT = Path(__file__).resolve().parents[3]
COMMAND = ("waagent", "-open-passwords:/key")
PASSWORD = "Pä55 w:rd$\n€"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A password as the fabric sends it, and the file of the key that opens it."""
    private, certificate = make_transport_certificate(SystemClock().now())
    path = tmp_path_factory.mktemp("keys") / "TransportPrivate.pem"
    path.write_bytes(private)
    return seal_password(PASSWORD, x509.load_pem_x509_certificate(certificate), AES), path


def beside(folder: Path, key: Path) -> PasswordsBeside:
    """The agent of this source tree, as a process."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    system = System(folder, ProcessRunner(environment), SystemClock(), environment)
    word = opening_word(str(key), Command.OPEN_PASSWORDS)
    return PasswordsBeside(system, (sys.executable, "-m", "waagent", word))


def scripted(folder: Path, answer: Answer) -> PasswordsBeside:
    """A process that ends so."""
    return PasswordsBeside(
        System(folder, ScriptedRunner({COMMAND: answer}), ManualClock()), COMMAND
    )


def test_good_passwords_come_back_beside_bad_ones(tmp_path: Path, sealed: tuple[str, Path]) -> None:
    text, key = sealed
    request = [text, "!!!", "", text]
    found = beside(tmp_path, key)(request)
    here = open_passwords_in_process(key)(request)
    assert [found[0], found[3]] == [PASSWORD, PASSWORD]
    for one, other in zip(found[1:3], here[1:3]):
        assert isinstance(one, CryptoError)
        assert isinstance(other, CryptoError)
        assert one.message == other.message


def test_missing_key_fails_for_all_and_is_named(tmp_path: Path, sealed: tuple[str, Path]) -> None:
    with pytest.raises(CryptoError, match=r"FileNotFoundError: .*/nowhere\.pem"):
        beside(tmp_path, tmp_path / "nowhere.pem")([sealed[0]])


def test_password_is_given_to_the_process_by_neither_argument_nor_environment(
    tmp_path: Path,
) -> None:
    runner = ScriptedRunner({COMMAND: ok(json.dumps([{"password": "pw"}]))})
    one = PasswordsBeside(System(tmp_path, runner, ManualClock()), COMMAND)
    assert one(["c2VhbGVk"]) == ("pw",)
    assert runner.calls[0].argv == COMMAND
    assert runner.calls[0].stdin == b'["c2VhbGVk"]'


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (times_out('[{"password": "s3cret"}]'), "took over 120 s"),
        (fails(1, "Traceback\n  ModuleNotFoundError: asn1crypto\n"), r"1 \(.*: asn1crypto\)"),
        (fails(-9), r"-9 \(\)"),
        (missing(), r"-1 \(.*No such file"),
        (ok("[]"), "cannot read what came"),
        (ok('[{"password": "s3cret"}, {"password": "s3cret"}]'), "cannot read what came"),
        (ok('{"failure": "no memory"}'), "no memory"),
    ],
)
def test_process_that_fails_is_told_without_any_password(
    tmp_path: Path, answer: Answer, why: str
) -> None:
    with pytest.raises(CryptoError, match=why) as raised:
        scripted(tmp_path, answer)(["sealed"])
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None


@given(said=st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_process_may_say_anything_and_it_is_a_crypto_error(tmp_path: Path, said: str) -> None:
    with pytest.raises(CryptoError):
        scripted(tmp_path, ok(said))(["sealed"])


@given(asked=st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_process_answers_whatever_it_is_asked(sealed: tuple[str, Path], asked: bytes) -> None:
    stdout = io.BytesIO()
    assert serve_passwords(sealed[1], io.BytesIO(asked), stdout) == 0
    assert isinstance(json.loads(stdout.getvalue()), (list, dict))
