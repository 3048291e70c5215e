"""The goal state, as captured and as it can arrive."""

from __future__ import annotations

import pytest

from tests.support.samples import sample
from waagent.core.errors import DocumentError
from waagent.protocol.documents.goalstate import parse_goal_state

ROLE = (
    "<RoleInstance><InstanceId>i</InstanceId><Configuration>"
    "<HostingEnvironmentConfig>http://h</HostingEnvironmentConfig>"
    "<SharedConfig>http://s</SharedConfig>{more}</Configuration></RoleInstance>"
)


def goal_state(role: str = "", *, incarnation: str = "2", container: str = "c") -> bytes:
    """A goal state of few parts."""
    return (
        f"<GoalState><Incarnation>{incarnation}</Incarnation><Container>"
        f"<ContainerId>{container}</ContainerId>"
        f"<RoleInstanceList>{role}</RoleInstanceList></Container></GoalState>"
    ).encode()


def test_goal_state_of_the_fabric_gives_its_names_and_urls() -> None:
    """The captured one."""
    goal = parse_goal_state(sample("wire/goal_state.xml"))
    name = "bc8b9d47-b5ed-4704-85d9-fd74cc967ec2"
    assert goal.is_complete
    assert goal.incarnation == "1"
    assert goal.container_id == "c6d5526c-5ac2-4200-b6e2-56f2b70c5ab2"
    assert goal.role_instance_id == "b61f93d0-e1ed-40b2-b067-22c243233448.MachineRole_IN_0"
    assert goal.config_name == f"{name}.5.{name}.5._canary.1.xml"
    assert goal.deployment_id == name
    assert goal.remote_access_url is None
    start = (
        "http://168.63.129.16:80/machine/865a6683-91d8-450f-99ae/"
        "bc8b9d47%2Db5ed%2D4704%2D85d9%2Dfd74cc967ec2.%5Fcanary?comp="
    )
    assert (
        goal.hosting_environment_url == start + "config&type=hostingEnvironmentConfig&incarnation=1"
    )
    assert goal.shared_config_url == start + "config&type=sharedConfig&incarnation=1"
    assert goal.extensions_config_url == start + "config&type=extensionsConfig&incarnation=1"
    assert goal.certificates_url == start + "certificates&incarnation=1"


def test_goal_state_without_certificates_says_so() -> None:
    """As for a VM that has only a password."""
    goal = parse_goal_state(sample("wire/goal_state_no_certs.xml"))
    assert goal.is_complete
    assert goal.certificates_url is None


def test_goal_state_trims_the_remote_access_url_and_takes_the_first_config_name() -> None:
    """Both occur in one captured document."""
    goal = parse_goal_state(sample("wire/goal_state_remote_access.xml"))
    assert goal.remote_access_url == "http://168.63.129.16:80/remoteaccessinfouri/"
    assert goal.config_name is not None
    assert goal.config_name.startswith("b61f93d0-e1ed-40b2-b067-22c243233448.1.")


def test_goal_state_without_role_instance_is_incomplete() -> None:
    """Legal, and asked for again."""
    goal = parse_goal_state(goal_state())
    assert not goal.is_complete
    assert (goal.incarnation, goal.container_id) == ("2", "c")
    assert (goal.role_instance_id, goal.config_name, goal.deployment_id) == (None, None, None)
    assert (goal.hosting_environment_url, goal.shared_config_url) == (None, None)


def test_goal_state_without_optional_urls_has_none() -> None:
    """Never an empty text."""
    goal = parse_goal_state(goal_state(ROLE.format(more="<ExtensionsConfig> </ExtensionsConfig>")))
    assert goal.is_complete
    assert (goal.extensions_config_url, goal.certificates_url) == (None, None)
    assert goal.config_name is None


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"<GoalState><Incarnation>1</Incarnation></GoalState>", "Container"),
        (goal_state(container=""), "ContainerId"),
        (goal_state(incarnation=" "), "Incarnation"),
        (goal_state("<RoleInstance/>"), "InstanceId"),
        (goal_state("<RoleInstance><InstanceId>i</InstanceId></RoleInstance>"), "HostingEnviron"),
        (b"<Versions/>", "GoalState"),
        (b"<html>", "goal state"),
        (b"", "goal state"),
    ],
)
def test_goal_state_error_names_what_is_missing(data: bytes, place: str) -> None:
    """So that a log line says enough."""
    with pytest.raises(DocumentError, match=place):
        parse_goal_state(data)


@pytest.mark.parametrize("word", ["../../etc", ".", "a/b", "1\n2", "x" * 300])
def test_goal_state_incarnation_that_could_lead_a_path_astray_is_refused(word: str) -> None:
    """It becomes part of file and folder names."""
    with pytest.raises(DocumentError, match="incarnation"):
        parse_goal_state(goal_state(incarnation=word))


def test_goal_state_container_that_could_add_a_header_is_refused() -> None:
    """It is sent back as a header."""
    with pytest.raises(DocumentError, match="ContainerId"):
        parse_goal_state(goal_state(container="c\r\nx-ms-version: 1"))
