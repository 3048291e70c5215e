"""Every spelling of the command line (spec CLI 1.2, 1.3; DAEMON 1.1 and appendix D)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waagent.cli.arguments import USAGE, Command, Options, child_options, opening_word, parse

COMMANDS = {
    "deprovision+user": Command.DEPROVISION_USER,
    "deprovision": Command.DEPROVISION,
    "daemon": Command.DAEMON,
    "start": Command.START,
    "register-service": Command.REGISTER_SERVICE,
    "run-exthandlers": Command.RUN_EXTHANDLERS,
    "version": Command.VERSION,
    "show-configuration": Command.SHOW_CONFIGURATION,
    "show-goal-state": Command.SHOW_GOAL_STATE,
    "help": Command.HELP,
    "usage": Command.HELP,
    "?": Command.HELP,
    "collect-logs": Command.COLLECT_LOGS,
}
MODIFIERS = ("verbose", "debug", "force", "dry-run", "full", "json")
WORDS = (*COMMANDS, *MODIFIERS, "configuration-path:/a", "setup-firewall=168.63.129.16", "", "-/")


@pytest.mark.parametrize("prefix", ["", "-", "--", "/", "-/-"])
@pytest.mark.parametrize(("word", "command"), COMMANDS.items())
def test_command_is_known_with_any_dashes_and_slashes(
    prefix: str, word: str, command: Command
) -> None:
    assert parse([prefix + word]) == Options(command)


@pytest.mark.parametrize(("word", "command"), COMMANDS.items())
def test_command_is_known_by_its_beginning(word: str, command: Command) -> None:
    assert parse([f"-{word}XYZ"]) == Options(command)


@pytest.mark.parametrize("word", MODIFIERS)
def test_modifier_sets_its_flag_and_no_command(word: str) -> None:
    options = parse([f"-{word}"])
    assert options.command is Command.HELP
    assert [x for x in MODIFIERS if getattr(options, x.replace("-", "_"))] == [word]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], Options(Command.HELP)),
        ([""], Options(Command.HELP)),
        (["", "-version"], Options(Command.VERSION)),
        (["-version", "-daemon"], Options(Command.DAEMON)),
        (["--deprovision+user", "-force"], Options(Command.DEPROVISION_USER, force=True)),
        (["-force", "deprovision"], Options(Command.DEPROVISION, force=True)),
        (["-deprovision", "--dry-run"], Options(Command.DEPROVISION, dry_run=True)),
        (["-collect-logs", "-full"], Options(Command.COLLECT_LOGS, full=True)),
        (["/show-goal-state", "--json"], Options(Command.SHOW_GOAL_STATE, json=True)),
        (
            ["-debug", "-run-exthandlers", "/verbose"],
            Options(Command.RUN_EXTHANDLERS, debug=True, verbose=True),
        ),
    ],
)
def test_last_command_counts_and_modifiers_stand_anywhere(
    arguments: list[str], expected: Options
) -> None:
    assert parse(arguments) == expected


@pytest.mark.parametrize(
    "word", ["-bogus", "-Version", "-DAEMON", "-serialconsole", "-provision", "-install", "-", "/"]
)
def test_unknown_word_asks_for_help_and_ends_the_parsing(word: str) -> None:
    assert parse(["-daemon", word, "-version", "-verbose"]) == Options(Command.HELP)
    assert parse(["-force", word]) == Options(Command.HELP, force=True)


@pytest.mark.parametrize(
    ("word", "path"),
    [
        ("-configuration-path:/etc/waagent.conf", "/etc/waagent.conf"),
        ("configuration-path:relative_1/a-b.conf", "relative_1/a-b.conf"),
        ("-configuration-path:/a b", "/a"),
        ("-configuration-path:/a~b", "/a"),
        ("-configuration-path:/aéb", "/a"),
    ],
)
def test_path_of_the_configuration_ends_at_the_first_other_character(word: str, path: str) -> None:
    assert parse([word, "-daemon"]) == Options(Command.DAEMON, conf_path=path)
    assert child_options(parse([word])) == (f"-configuration-path:{path}",)


@pytest.mark.parametrize(
    "word", ["-configuration-path:", "-configuration-path:~", "-configuration-path", "-config:/a"]
)
def test_configuration_without_a_path_is_an_unknown_word(word: str) -> None:
    assert parse([word, "-daemon"]) == Options(Command.HELP)


@pytest.mark.parametrize(
    ("word", "address"),
    [
        ("--setup-firewall=168.63.129.16", "168.63.129.16"),
        ("setup-firewall=1.2.3.4", "1.2.3.4"),
        ("-setup-firewall=1.2.3.4;reboot", "1.2.3.4"),
        ("-setup-firewall=1234567", "1234567"),
    ],
)
def test_firewall_takes_seven_or_more_digits_and_dots(word: str, address: str) -> None:
    assert parse([word]) == Options(Command.SETUP_FIREWALL, firewall_address=address)


@pytest.mark.parametrize(
    "word", ["-setup-firewall=1.2.3", "-setup-firewall", "-setup-firewall=١٢٣٤٥٦٧", "-setup-fire"]
)
def test_firewall_without_an_address_is_an_unknown_word(word: str) -> None:
    assert parse([word]) == Options(Command.HELP)


@pytest.mark.parametrize("arguments", [[], ["-daemon"], ["-daemon", "-verbose", "-force"]])
def test_children_are_handed_nothing_but_the_path(arguments: list[str]) -> None:
    assert child_options(parse(arguments)) == ()


@given(st.lists(st.one_of(st.text(), st.sampled_from(WORDS), st.from_regex(r"[-/]{0,3}[a-z:=]*"))))
def test_any_command_line_is_parsed_without_an_error(arguments: list[str]) -> None:
    options = parse(arguments)
    assert isinstance(options.command, Command)
    assert (options.firewall_address is None) or options.firewall_address.isascii()


@given(st.lists(st.sampled_from([word for word in WORDS if word != "-/"]), min_size=1))
def test_known_words_are_never_taken_for_an_unknown_one(arguments: list[str]) -> None:
    commands = [COMMANDS[word] for word in arguments if word in COMMANDS]
    firewall = [word for word in arguments if word.startswith("setup-firewall")]
    if not firewall:
        assert parse(arguments).command is (commands[-1] if commands else Command.HELP)


def test_usage_names_every_command_and_modifier_but_debug() -> None:
    ours = (Command.OPEN_CERTIFICATES, Command.OPEN_PASSWORDS)
    typed = [command.value for command in Command if command not in ours]
    for word in [*typed, "verbose", "force", "full", "json"]:
        assert f"-{word}".replace("+user", "[+user]") in USAGE
    assert "debug" not in USAGE


@pytest.mark.parametrize("command", [Command.OPEN_CERTIFICATES, Command.OPEN_PASSWORDS])
def test_word_that_opens_what_is_sealed_takes_any_path(command: Command) -> None:
    path = "/var/lib/a folder:2/TransportPrivate.pem"
    parsed = parse([opening_word(path, command)])
    assert (parsed.command, parsed.key_path) == (command, path)
    assert parse([f"-{command.value}"]).command is Command.HELP
