"""Our own key: made once in a search, kept by a restart, used without reading it again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.fabric.certificates import envelope, issue_set, pfx
from tests.support.clock import ManualClock
from tests.support.runner import ScriptedRunner
from waagent.core.conf import Conf
from waagent.core.paths import Paths, make_paths
from waagent.core.system import System
from waagent.protocol.transport_keys import KEEP_S, TransportKeys, make_transport_keys

DAY_S = 86400.0


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def paths(tmp_path: Path, clock: ManualClock) -> Paths:
    """A lib dir."""
    found = make_paths(System(tmp_path, ScriptedRunner({}), clock), Conf())
    found.lib.mkdir(parents=True)
    return found


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A process that would let everybody read and write what it makes."""
    before = os.umask(0)
    yield
    os.umask(before)


def made(paths: Paths, clock: ManualClock, *, age_s: float) -> TransportKeys:
    """The keys of an earlier start."""
    for path in (paths.transport_private, paths.transport_cert):
        path.write_text("PEM")
        moment = clock.now().timestamp() - age_s
        os.utime(path, (moment, moment))
    return TransportKeys(paths, clock)


@pytest.mark.usefixtures("open_umask")
def test_keys_are_closed_whatever_the_umask(paths: Paths, clock: ManualClock) -> None:
    make_transport_keys(paths, clock)
    for path in (paths.transport_private, paths.transport_cert):
        assert path.stat().st_mode & 0o777 == 0o600


def test_new_keys_take_the_place_of_the_old_ones(paths: Paths, clock: ManualClock) -> None:
    make_transport_keys(paths, clock)
    before = paths.transport_private.read_bytes(), paths.transport_cert.read_bytes()
    make_transport_keys(paths, clock)
    assert paths.transport_private.read_bytes() != before[0]
    assert paths.transport_cert.read_bytes() != before[1]


@pytest.mark.parametrize(
    ("age_s", "stays"),
    [(0.0, True), (KEEP_S - 1, True), (KEEP_S, False), (700 * DAY_S, False), (-60.0, False)],
    ids=["new", "nearly too old", "too old", "expires soon", "from the future"],
)
def test_restart_goes_on_with_keys_that_are_good_for_longer(
    paths: Paths, clock: ManualClock, age_s: float, stays: bool
) -> None:
    assert made(paths, clock, age_s=age_s).can_stay() is stays


@pytest.mark.parametrize("missing", ["TransportPrivate.pem", "TransportCert.pem"])
def test_half_a_pair_does_not_stay(paths: Paths, clock: ManualClock, missing: str) -> None:
    keys = made(paths, clock, age_s=0)
    (paths.lib / missing).unlink()
    assert not keys.can_stay()


def test_certificate_never_stands_beside_the_key_of_another(
    paths: Paths, clock: ManualClock
) -> None:
    keys = made(paths, clock, age_s=0)
    paths.transport_private.unlink()
    paths.transport_private.mkdir()  # no key can be written
    keys.begin()
    with pytest.raises(OSError, match="Is a directory"):
        keys.finish()
    assert not paths.transport_cert.exists()


def test_keys_are_made_once_however_often_one_begins(paths: Paths, clock: ManualClock) -> None:
    keys = TransportKeys(paths, clock)
    keys.begin()
    keys.finish()
    first = paths.transport_private.read_bytes()
    keys.begin()
    keys.finish()
    assert paths.transport_private.read_bytes() == first


def test_failure_is_not_final(paths: Paths, clock: ManualClock) -> None:
    keys = TransportKeys(paths, clock)
    paths.transport_private.mkdir()
    keys.begin()
    with pytest.raises(OSError, match="Is a directory"):
        keys.finish()
    paths.transport_private.rmdir()
    keys.begin()
    keys.finish()
    assert paths.transport_cert.is_file()


@pytest.mark.parametrize("just_made", [True, False])
def test_certificates_are_opened_with_the_key_just_made_or_the_one_on_disk(
    paths: Paths, clock: ManualClock, just_made: bool
) -> None:
    keys = TransportKeys(paths, clock)
    keys.begin()
    keys.finish()
    ours = x509.load_pem_x509_certificate(paths.transport_cert.read_bytes())
    machine = issue_set()
    opener = keys if just_made else TransportKeys(paths, clock)
    bundle = opener.open_certificates(envelope(pfx(machine), ours))
    assert [pair.thumbprint for pair in bundle.pairs] == [each.thumbprint for each in machine]
