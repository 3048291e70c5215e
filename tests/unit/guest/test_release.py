"""Which distribution a guest is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.machine import Machine
from tests.unit.guest.profiles_golden import read_sample
from waagent.guest.release import Release, parse_old_release, parse_os_release, read_release


@pytest.mark.parametrize(
    ("distro", "expected"),
    [
        ("debian-12", ("debian", "12", "bookworm")),
        ("ubuntu-22.04", ("ubuntu", "22.04", "jammy")),
        ("rhel-9.4", ("rhel", "9.4", "Plow")),
        ("oracle-9.4", ("oracle", "9.4", "")),
        ("opensuse-leap-15.6", ("opensuse", "15.6", "")),
        ("sles-15.5", ("sles", "15.5", "")),
        ("fedora-41", ("fedora", "41", "")),
        ("arch", ("arch", "", "")),
        ("azurelinux-3.0", ("azurelinux", "3.0", "")),
        ("mariner-2.0", ("mariner", "2.0.20240609", "")),
        ("mariner-2.0-marker", ("mariner", "2.0.20240609", "")),
        ("oracle-8.9-marker", ("oracle", "8.9", "oracle")),
        ("euleros-2.10", ("euleros", "2.0", "")),
        ("uos-20", ("uos", "20", "")),
        ("photon-3.0-marker", ("photonos", "3.0", "")),
        ("alpaquita-23", ("alpaquita", "23", "")),
        ("centos-7-old-files", ("centos", "7.9.2009", "Core")),
        ("rhel-7-old-files", ("rhel", "7.9", "Maipo")),
        ("debian-testing", ("debian", "forky/sid", "forky")),
        ("fedora-41-linked", ("fedora", "41", "")),
        ("clear-linux-usr-lib", ("clear-linux-os", "43000", "")),
        ("broken-quoting", ("debian", "12", "")),
        ("nothing", ("linux", "", "")),
    ],
)
def test_release_is_named_as_the_fabric_knows_it(
    distro: str, expected: tuple[str, str, str]
) -> None:
    release = read_sample(distro)
    assert (release.name, release.version, release.codename) == expected


def test_release_takes_the_code_name_from_the_version_when_nothing_else_tells_it() -> None:
    text = 'ID=ubuntu\nVERSION_ID="22.04"\nVERSION="22.04 LTS (Jammy Jellyfish)"\n'
    assert parse_os_release(text).codename == "Jammy Jellyfish"


@pytest.mark.parametrize(
    ("marker", "name"),
    [
        ("/etc/euleros-release", "euleros"),
        ("/etc/UnionTech-release", "uos"),
        ("/etc/mariner-release", "mariner"),
        ("/etc/photon-release", "photonos"),
        ("/etc/alpaquita-release", "alpaquita"),
    ],
)
def test_release_is_overruled_by_a_marker_file(tmp_path: Path, marker: str, name: str) -> None:
    assert Machine("centos-7", files={marker: "x"}).boot(tmp_path).release.name == name


def test_release_of_oracle_has_its_own_code_name(tmp_path: Path) -> None:
    guest = Machine("oracle-9.4", files={"/etc/oracle-release": "x"}).boot(tmp_path)
    assert guest.release == Release("oracle", "9.4", "oracle", "Oracle Linux", ("fedora",))


def test_release_is_read_from_usr_lib_when_etc_has_none(tmp_path: Path) -> None:
    guest = Machine("", files={"/usr/lib/os-release": "ID=fedora\nVERSION_ID=41\n"}).boot(tmp_path)
    assert guest.release == Release("fedora", "41")


def test_release_without_any_file_is_linux(tmp_path: Path) -> None:
    assert read_release(Machine("").boot(tmp_path).system) == Release("linux")


@pytest.mark.parametrize("text", ['ID="open', "=\n==", "\0", "ID", "ID='a b'", "#ID=x\n"])
def test_release_can_be_parsed_whatever_the_text(text: str) -> None:
    assert parse_os_release(text).name


@pytest.mark.parametrize("text", ["", "release", "x release", "Red Hat\n", "\0 release 1 ()"])
def test_old_release_can_be_parsed_whatever_the_text(text: str) -> None:
    assert parse_old_release(text).name


def test_release_knows_what_it_is_like_by_the_names_of_the_table() -> None:
    text = 'ID=some\nID_LIKE="ol opensuse-leap Fedora"\n'
    assert parse_os_release(text).like == ("oracle", "opensuse", "fedora")


@pytest.mark.parametrize(
    ("version", "numbers", "expected"),
    [
        ("9.10", (9, 2), True),
        ("9.2", (9, 10), False),
        ("18.4", (18, 4), True),
        ("16.04", (18, 4), False),
        ("8", (8,), True),
        ("8", (8, 6), False),
        ("", (7,), True),
        ("sid", (7,), True),
        ("9" * 5000, (7,), True),
    ],
)
def test_release_versions_compare_as_numbers(
    version: str, numbers: tuple[int, ...], expected: bool
) -> None:
    assert Release("any", version).is_at_least(*numbers) is expected
