"""Options, listing, shipped files and manual say the same; all are made from one declaration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

import pytest

from waagent.cli.configuration import (
    MANUAL,
    main,
    render_conf,
    render_files,
    render_manual,
    show_configuration,
)
from waagent.core.conf import BY_KEY, GROUPS, OPTIONS, Conf, load
from waagent.core.errors import DocumentError
from waagent.core.options import DISTROS, Option, parse_value, show_value

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / MANUAL).read_text("utf-8")
FILES = sorted(render_files(PAGE))

# Spec CLI 2.4, for the distributions that we ship to: what differs from the generic file.
DIFFERENCES = {
    "alpine": "DecodeCustomData=y ExecuteCustomData=y MonitorHostName=n Logs.Console=y",
    "arch": "DeleteRootPassword=n",
    "chainguard": "Extensions.Enabled=n UpdateToLatestVersion=n SshHostKeyPairType=auto",
    "clearlinux": "DecodeCustomData=y GAFamily=Prod",
    "coreos": "DeleteRootPassword=n RegenerateSshHostKeyPair=n SshHostKeyPairType=ed25519"
    " OS.AllowHTTP=y",
    "debian": "OS.EnableFirewall=n SshHostKeyPairType=auto",
    "devuan": "SshHostKeyPairType=auto",
    "mariner": "DecodeCustomData=y ResourceDisk.Format=n GAFamily=Prod",
    "photonos": "DecodeCustomData=y ResourceDisk.Format=n GAFamily=Prod",
    "suse": "Filesystem=btrfs MountOptions=compress=lzo",
    "ubuntu": "RegenerateSshHostKeyPair=n MonitorHostName=n ResourceDisk.Format=n"
    " ResourceDisk.MountPoint=/mnt",
}


def assignments(text: str) -> set[str]:
    return {line for line in text.splitlines() if line and not line.startswith("#")}


def shipped(distro: Optional[str]) -> str:
    folder = ROOT / "config" / (distro or "")
    return (folder / "waagent.conf").read_text("utf-8")


@pytest.mark.parametrize("name", FILES)
def test_file_in_the_tree_is_what_the_options_give(name: str) -> None:
    written = (ROOT / name).read_text("utf-8")
    assert written == render_files(PAGE)[name], "run python3 -m waagent.cli.configuration --write ."


def test_every_configuration_file_in_the_tree_is_a_generated_one() -> None:
    found = {str(file.relative_to(ROOT)) for file in (ROOT / "config").rglob("waagent.conf")}
    assert found == {name for name in FILES if name.startswith("config/")}


@pytest.mark.parametrize("distro", [None, *DISTROS])
def test_shipped_file_is_read_without_a_warning_and_as_declared(distro: Optional[str]) -> None:
    result = load(shipped(distro).encode(), "waagent.conf")
    assert result.warnings == ()
    for declared in OPTIONS:
        value = declared.option.shipped_in(distro)
        if value is None or value.startswith("#") or value == "None":
            assert declared.option.key not in result.present
        else:
            assert show_value(result.conf.value(declared)) == value


@pytest.mark.parametrize("option", [each.option for each in OPTIONS], ids=lambda each: each.key)
def test_shipped_and_commented_values_are_values_of_the_option(option: Option) -> None:
    for distro in (None, *DISTROS):
        value = (option.shipped_in(distro) or "None").lstrip("#")
        assert value == "None" or parse_value(option, value).complaint is None


@pytest.mark.parametrize("distro", DISTROS)
def test_file_of_a_distribution_differs_from_the_generic_one_as_the_spec_says(distro: str) -> None:
    added = assignments(shipped(distro)) - assignments(shipped(None))
    expected = DIFFERENCES[distro].split()
    assert len(added) == len(expected)
    for end in expected:
        assert any(line.endswith(end) for line in added), end


@pytest.mark.parametrize("distro", DISTROS)
def test_file_of_a_distribution_leaves_the_periods_at_the_defaults(distro: str) -> None:
    keys = {line.partition("=")[0] for line in assignments(shipped(distro))}
    assert {key for key in keys if key.endswith("Period")} <= {"Logs.CollectPeriod"}
    assert "OS.EnableFirewallPeriod=30" in shipped(None)


@pytest.mark.parametrize("distro", [None, *DISTROS])
def test_no_shipped_file_lets_the_platform_replace_the_agent(distro: Optional[str]) -> None:
    conf = load(shipped(distro).encode(), "waagent.conf").conf
    assert conf.downloads_updates is False


def test_listing_is_sorted_and_shows_what_the_file_came_to() -> None:
    lines = show_configuration(load(shipped("suse").encode(), "waagent.conf").conf).splitlines()
    keys = [line.partition(" = ")[0] for line in lines]
    assert keys == sorted(keys)
    assert keys.index("AutoUpdate.UpdateToLatestVersion") < keys.index("Autoupdate.Frequency")
    assert "ResourceDisk.MountOptions = compress=lzo" in lines
    assert "AutoUpdate.UpdateToLatestVersion = False" in lines
    assert "OS.RootDeviceScsiTimeout = 300" in lines
    assert "HttpProxy.Host = None" in lines
    assert "OS.CheckRdmaDriver = False" in lines


def test_listing_of_the_defaults_has_the_declared_default_of_every_listed_option() -> None:
    shown = dict(line.split(" = ", 1) for line in show_configuration(Conf()).splitlines())
    expected = {each.option.key: each.option.default for each in OPTIONS if each.option.listed}
    words = {"y": "True", "n": "False"}
    assert shown.pop("OS.CheckRdmaDriver") == "False"
    del expected["OS.CheckRdmaDriver"]
    for key, default in expected.items():
        text = show_value(default)
        assert shown[key] == (words[text] if isinstance(default, bool) else text)
    assert shown.keys() == expected.keys()


def test_listing_does_not_change_when_it_is_read_back_as_a_file() -> None:
    before = load(shipped("coreos").encode(), "waagent.conf").conf
    text = re.sub("= True$", "= y", show_configuration(before), flags=re.MULTILINE)
    text = re.sub("= False$", "= n", text, flags=re.MULTILINE)
    result = load(text.encode(), "listing")
    assert result.warnings == ()
    assert show_configuration(result.conf) == show_configuration(before)


def test_manual_has_one_row_for_every_option_and_every_section() -> None:
    for key, declared in BY_KEY.items():
        rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{key}` |")]
        meanings = [row for row in rows if declared.option.meaning in row]
        assert len(meanings) == 1, key
    assert all(f"### {group.heading}\n" in PAGE for group in GROUPS)


def test_manual_names_its_own_section_of_warnings_truly() -> None:
    examples = [line for line in PAGE.splitlines() if line.startswith("Cannot use ")]
    lines = ["#"] * 11 + ["Logs.Verbose=yes", "Logs.verbose=y"]
    assert load("\n".join(lines).encode(), "/etc/waagent.conf").warnings == tuple(examples)


def test_manual_without_its_markers_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"cannot renew docs/configuration\.md"):
        render_manual("# Configuration\n")


def test_every_option_is_explained_in_whole_sentences() -> None:
    for each in OPTIONS:
        assert each.option.meaning.endswith("."), each.option.key
        assert not re.search("[<>|]", each.option.meaning), each.option.key


def test_comments_of_a_file_fit_on_a_screen() -> None:
    assert max(len(line) for line in render_conf().splitlines()) <= 100


def test_writing_into_a_tree_makes_every_file(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / MANUAL).write_text(PAGE, "utf-8")
    assert main(["--write", str(tmp_path)]) == 0
    assert sorted(
        str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()
    ) == sorted(FILES)
    assert (tmp_path / "config" / "waagent.conf").read_text("utf-8") == render_conf()


@pytest.mark.parametrize("arguments", [[], ["--write"], ["--read", "."], ["--write", ".", "."]])
def test_writing_with_other_arguments_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: ")
