"""Reading waagent.conf: the rules of lines and values, presence and warnings (spec CLI 2.2)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waagent.core.conf import (
    BY_KEY,
    IGNORED_KEYS,
    LARGEST_FILE,
    MOST_WARNINGS,
    Conf,
    Loaded,
    load,
    read_conf,
)
from waagent.core.errors import ConfError

NAME = "/etc/waagent.conf"


def loaded(text: str) -> Loaded:
    return load(text.encode(), NAME)


def options_of(text: str) -> str:
    """The mount options that a text comes to: an option that takes any text."""
    return str(loaded(text).conf.resource_disk.mount_options)


def test_file_without_any_setting_is_the_code_defaults() -> None:
    assert loaded("# nothing\n\n") == Loaded(Conf())


def test_value_is_read_into_its_section() -> None:
    conf = loaded("ResourceDisk.Format=y\nExtensions.GoalStatePeriod=9\n").conf
    assert conf.resource_disk.format is True
    assert conf.extensions.goal_state_period_s == 9


def test_every_option_is_read_from_the_file() -> None:
    for key, declared in BY_KEY.items():
        value = {"SWITCH": "n", "NUMBER": "5", "SECONDS": "5", "TEXT": "5", "PATH": "/5"}
        raw = value[declared.option.kind.name]
        if declared.option.limits.choices:
            raw = declared.option.limits.choices[-1]
        if declared.option.default is False:
            raw = "y"
        result = loaded(f"{key}={raw}\n")
        assert result.warnings == ()
        assert result.conf.value(declared) != declared.option.default, key


@pytest.mark.parametrize(
    "line",
    [
        "Logs.Verbose=y",
        "  Logs.Verbose  =  y  ",
        "Logs.Verbose=y  # note",
        "Logs.Verbose=y#note",
        'Logs.Verbose="y"',
        'Logs.Verbose= "Y" ',
        "Logs.Verbose=y\r",
        "\tLogs.Verbose\t=\ty",
    ],
)
def test_line_may_have_blanks_quotes_and_a_comment(line: str) -> None:
    assert loaded(line).conf.logs.verbose is True
    assert loaded(line).warnings == ()


@pytest.mark.parametrize("line", ["", "   ", "# a=b", "  # a=b", "#", "\r"])
def test_blank_line_or_comment_says_nothing(line: str) -> None:
    assert loaded(line) == Loaded(Conf())


def test_further_equal_signs_belong_to_the_value() -> None:
    assert options_of("ResourceDisk.MountOptions=mode=777,a=b") == "mode=777,a=b"


def test_single_quotes_are_kept() -> None:
    assert options_of("ResourceDisk.MountOptions='x'") == "'x'"


def test_quote_beside_a_tab_or_carriage_return_stays() -> None:
    assert options_of('ResourceDisk.MountOptions=\t"x"') == '"x'
    assert options_of('ResourceDisk.MountOptions="x"\r') == 'x"'


def test_value_is_cut_at_the_first_number_sign_even_inside_quotes() -> None:
    assert options_of('ResourceDisk.MountOptions="a#b"') == "a"


def test_lines_end_at_a_line_feed_only() -> None:
    assert options_of("ResourceDisk.MountOptions=a\x0bb\x85c\nLogs.Verbose=y") == "a\x0bb\x85c"


def test_empty_text_is_a_value_of_its_own() -> None:
    assert loaded("ResourceDisk.MountOptions=").conf.resource_disk.mount_options == ""


def test_none_unsets_a_key_and_is_not_presence() -> None:
    result = loaded("OS.OpensslPath=None\nAutoUpdate.UpdateToLatestVersion=None\n")
    assert result == Loaded(Conf())


def test_none_in_other_letters_is_a_text() -> None:
    assert options_of("ResourceDisk.MountOptions=none") == "none"


def test_later_none_unsets_what_an_earlier_line_set() -> None:
    result = loaded("Lib.Dir=/elsewhere\nLib.Dir=None\n")
    assert result.conf.paths.lib_dir == "/var/lib/waagent"
    assert result.present == frozenset()


def test_key_with_a_bad_value_is_present() -> None:
    result = loaded("AutoUpdate.UpdateToLatestVersion=perhaps\n")
    assert result.conf.is_present("AutoUpdate.UpdateToLatestVersion")
    assert not result.conf.is_present("AutoUpdate.Enabled")
    assert result.present == {"AutoUpdate.UpdateToLatestVersion"}


@pytest.mark.parametrize("key", sorted(IGNORED_KEYS))
def test_key_of_old_files_is_ignored_without_a_warning(key: str) -> None:
    result = loaded(f"{key}=y\n")
    assert result.warnings == ()
    assert result.conf.value(BY_KEY["Logs.Verbose"]) is False


WARNINGS = [
    (
        "\n\nLogs.Verbose=yes",
        "'yes' for Logs.Verbose",
        3,
        "it is neither y nor n",
        "n is used instead",
    ),
    (
        "Logs.CollectPeriod=5*60",
        "'5*60' for Logs.CollectPeriod",
        1,
        "it is not a whole number",
        "3600 is used instead",
    ),
    (
        "Extensions.GoalStatePeriod=0",
        "'0' for Extensions.GoalStatePeriod",
        1,
        "the least is 1",
        "1 is used instead",
    ),
    (
        "HttpProxy.Port=many",
        "'many' for HttpProxy.Port",
        1,
        "it is not a whole number",
        "None is used instead",
    ),
    (
        "Provisioning.Agent=Auto",
        "'Auto' for Provisioning.Agent",
        1,
        "it is none of auto, waagent, cloud-init, disabled",
        "disabled is used instead",
    ),
    (
        "Lib.Dir=",
        "'' for Lib.Dir",
        1,
        "it is not an absolute path below /",
        "/var/lib/waagent is used instead",
    ),
    (
        "AutoUpdate.UpdateToLatestVersion=maybe\nAutoUpdate.Enabled=n",
        "'maybe' for AutoUpdate.UpdateToLatestVersion",
        1,
        "it is neither y nor n",
        "n is used instead",
    ),
    (
        "Logs.Verbose=y\nLogs.Verbose=n",
        "'Logs.Verbose'",
        1,
        "line 2 has it again",
        "line 2 is used instead",
    ),
    (
        "logs.verbose=y",
        "'logs.verbose'",
        1,
        "the agent has no such key (did you mean 'Logs.Verbose'?)",
        "the line is ignored",
    ),
    (
        "Log.Verbose=y",
        "'Log.Verbose'",
        1,
        "the agent has no such key (did you mean 'Logs.Verbose'?)",
        "the line is ignored",
    ),
    ("Weather=fine", "'Weather'", 1, "the agent has no such key", "the line is ignored"),
    ("Logs.Verbose y", "the text", 1, "it has no =", "the line is ignored"),
    ("=y", "''", 1, "there is no key before the =", "the line is ignored"),
    (
        "\ufeffLogs.Verbose=y",
        "'?Logs.Verbose'",
        1,
        "the file begins with a byte-order mark, which becomes part of the key",
        "the line is ignored",
    ),
]


@pytest.mark.parametrize(("text", "subject", "line", "why", "instead"), WARNINGS)
def test_warning_names_file_line_key_and_what_is_used_instead(
    text: str, subject: str, line: int, why: str, instead: str
) -> None:
    warning = f"Cannot use {subject} in /etc/waagent.conf, line {line}: {why}; {instead}"
    assert loaded(text).warnings == (warning,)


def test_byte_order_mark_before_a_comment_loses_nothing() -> None:
    assert loaded("\ufeff# a=b\nLogs.Verbose=y").warnings == ()


def test_line_that_is_not_utf8_is_ignored_and_the_others_are_read() -> None:
    result = load(b"Lib.Dir=/\xff\nLogs.Verbose=y # caf\xe9\n# caf\xe9\n", NAME)
    (warning,) = result.warnings
    assert "'Lib.Dir' in /etc/waagent.conf, line 1: it is not UTF-8 text; the line" in warning
    assert result.conf.logs.verbose is True


def test_warnings_come_in_the_order_of_the_lines() -> None:
    text = "Logs.Verbose=?\nnothing\nWeather=fine\nExtensions.Enabled=?\nWeather2=x"
    lines = [warning.partition("line ")[2][0] for warning in loaded(text).warnings]
    assert lines == ["1", "2", "3", "4", "5"]


def test_warning_is_one_short_line_whatever_the_value_is() -> None:
    (warning,) = loaded(f"Logs.Verbose=a\x1b[2J\rb{'x' * 5000}").warnings
    assert warning.isprintable()
    assert len(warning) < 200


def test_warnings_of_a_file_of_another_kind_are_counted_not_listed() -> None:
    warnings = loaded("".join(f"k{count}=v\n" for count in range(MOST_WARNINGS + 7))).warnings
    assert len(warnings) == MOST_WARNINGS + 1
    assert warnings[-1] == "There are 7 more warnings about /etc/waagent.conf"


@given(st.binary())
def test_any_bytes_give_a_configuration(data: bytes) -> None:
    result = load(data, NAME)
    assert isinstance(result.conf, Conf)
    assert all(warning.isprintable() for warning in result.warnings)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(BY_KEY)),
            st.one_of(st.text(), st.integers().map(str), st.sampled_from(["y", "n", "None"])),
        ),
        max_size=12,
    )
)
def test_any_values_give_a_configuration_of_the_declared_types(
    settings: list[tuple[str, str]],
) -> None:
    conf = loaded("".join(f"{key}={value}\n" for key, value in settings)).conf
    for declared in BY_KEY.values():
        value, default = conf.value(declared), declared.option.default
        assert default is None or type(value) is type(default)


def test_file_is_read_under_the_name_given(tmp_path: Path) -> None:
    file = tmp_path / "waagent.conf"
    file.write_bytes(b"Logs.Verbose=y\nWeather=fine\n")
    result = read_conf(file, NAME)
    assert result.conf.logs.verbose is True
    assert "in /etc/waagent.conf, line 2" in result.warnings[0]


def test_missing_file_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfError) as raised:
        read_conf(tmp_path / "waagent.conf", NAME)
    assert str(raised.value) == (
        "cannot read the configuration /etc/waagent.conf: there is no such file; put the"
        " package's file back, or name another with -configuration-path:<path>"
    )


def test_empty_file_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    file = tmp_path / "waagent.conf"
    file.touch()
    with pytest.raises(ConfError, match="it is empty; put the package's file back"):
        read_conf(file)


def test_folder_in_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfError, match=r"cannot read the configuration .*: it is not a file"):
        read_conf(tmp_path)


def test_file_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfError, match="cannot read the configuration"):
        read_conf(tmp_path / "file" / "waagent.conf")


def test_file_that_is_far_too_large_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "waagent.conf"
    file.write_bytes(b"#" * (LARGEST_FILE + 1))
    with pytest.raises(ConfError, match="larger than 1048576 bytes"):
        read_conf(file)
