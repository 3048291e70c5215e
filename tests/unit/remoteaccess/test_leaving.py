"""A userdel that was cut off took the line of passwd, which said that the account was ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.remoteaccess.lent import Lent, grant
from waagent.remoteaccess.leaving import LARGEST, Leaving


def cut_off(lent: Lent, name: str) -> None:
    """As a power failure leaves it: noted, and gone from passwd alone."""
    gid = int(lent.accounts.read("passwd")[name][3])
    Leaving(lent.guest.system.path("/var/lib/waagent/remote_access_leaving.json")).note(name, gid)
    passwd = lent.guest.system.path("/etc/passwd")
    lines = passwd.read_text(encoding="utf-8").splitlines(keepends=True)
    passwd.write_text("".join(x for x in lines if not x.startswith(f"{name}:")), encoding="utf-8")


def test_rest_of_an_account_that_was_being_deleted_goes_at_the_next_start(tmp_path: Path) -> None:
    lent = Lent(tmp_path)
    lent.users.apply(grant("jit", "other"))
    cut_off(lent, "jit")
    lent.start().apply(grant("other"))
    assert "jit" not in lent.accounts.read("shadow")
    assert lent.ours == ["other"]
    assert lent.accounts.read("shadow")["other"][1].startswith("$6$")
    assert not lent.guest.system.path("/var/lib/waagent/remote_access_leaving.json").exists()


def test_account_that_somebody_made_meanwhile_under_the_name_is_theirs(tmp_path: Path) -> None:
    lent = Lent(tmp_path)
    lent.users.apply(grant("jit"))
    cut_off(lent, "jit")
    passwd = lent.guest.system.path("/etc/passwd")
    with passwd.open("a", encoding="utf-8") as file:
        file.write("jit:x:1500:1500:somebody:/home/jit:/bin/sh\n")
    before = lent.guest.file("/etc/shadow")
    lent.start().apply(None)
    assert lent.guest.file("/etc/shadow") == before
    assert "jit" in lent.accounts.read("passwd")


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b'{"a": "x"}', b'{"a": null}', b"\xff", b"[" * (LARGEST + 1)]
)
def test_record_that_cannot_be_read_names_nobody(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "leaving"
    path.write_bytes(content)
    assert Leaving(path).read() == {}
    Leaving(path).note("jit", 1001)
    assert Leaving(path).read() == {"jit": 1001}
    assert path.stat().st_mode & 0o777 == 0o600
    Leaving(path).forget("jit")
    assert not path.exists()
