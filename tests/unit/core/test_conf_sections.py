"""Values that depend on other values: defaults that follow, presence, and who provisions."""

from __future__ import annotations

import pytest

from waagent.core.conf import Conf, load
from waagent.core.conf_machine import OsConf, ProvisioningConf
from waagent.core.conf_service import HttpProxyConf


def conf_of(*lines: str) -> Conf:
    return load("\n".join(lines).encode(), "waagent.conf").conf


def test_initial_goal_state_period_follows_the_goal_state_period() -> None:
    assert conf_of("Extensions.GoalStatePeriod=9").extensions.initial_goal_state_period_s == 9


def test_initial_goal_state_period_of_its_own_comes_first() -> None:
    lines = ("Extensions.InitialGoalStatePeriod=2", "Extensions.GoalStatePeriod=9")
    assert conf_of(*lines).extensions.initial_goal_state_period_s == 2


def test_initial_goal_state_period_follows_what_a_bad_goal_state_period_became() -> None:
    lines = ("Extensions.InitialGoalStatePeriod=soon", "Extensions.GoalStatePeriod=0")
    assert conf_of(*lines).extensions.initial_goal_state_period_s == 1


NEW, OLD = "AutoUpdate.UpdateToLatestVersion", "AutoUpdate.Enabled"


@pytest.mark.parametrize(
    ("lines", "downloads", "runs_newest"),
    [
        ((), True, True),
        ((f"{OLD}=y",), True, True),
        ((f"{OLD}=n",), False, False),
        ((f"{NEW}=y", f"{OLD}=n"), True, True),
        ((f"{NEW}=y",), True, True),
        ((f"{NEW}=n", f"{OLD}=y"), False, True),
        ((f"{NEW}=n", f"{OLD}=n"), False, True),
        ((f"{NEW}=None", f"{OLD}=n"), False, False),
        ((f"{NEW}=perhaps", f"{OLD}=n"), False, True),
    ],
)
def test_update_keys_decide_what_is_downloaded_and_what_runs(
    lines: tuple[str, ...], downloads: bool, runs_newest: bool
) -> None:
    conf = conf_of(*lines)
    assert (conf.downloads_updates, conf.runs_newest_agent) == (downloads, runs_newest)


@pytest.mark.parametrize("agent", ["cloud-init", "waagent", "disabled"])
@pytest.mark.parametrize("cloud_init", [True, False])
def test_provisioning_agent_other_than_auto_decides_alone(agent: str, cloud_init: bool) -> None:
    conf = ProvisioningConf(agent=agent, enabled=False, use_cloud_init=True)
    assert conf.provisioner(cloud_init_enabled=cloud_init) == agent


@pytest.mark.parametrize(
    ("enabled", "use_cloud_init", "provisioner"),
    [
        (True, False, "waagent"),
        (True, True, "waagent"),
        (False, False, "disabled"),
        (False, True, "cloud-init"),
    ],
)
def test_old_provisioning_keys_decide_where_cloud_init_is_not_enabled(
    enabled: bool, use_cloud_init: bool, provisioner: str
) -> None:
    conf = ProvisioningConf(enabled=enabled, use_cloud_init=use_cloud_init)
    assert conf.provisioner(cloud_init_enabled=False) == provisioner
    assert conf.provisioner(cloud_init_enabled=True) == "cloud-init"


@pytest.mark.parametrize(
    ("conf", "is_on", "may_check"),
    [
        (OsConf(), False, True),
        (OsConf(enable_rdma=True), True, True),
        (OsConf(update_rdma_driver=True), True, True),
        (OsConf(check_rdma_driver=True), True, True),
        (OsConf(check_rdma_driver=False), False, False),
        (OsConf(enable_rdma=True, check_rdma_driver=False), True, False),
    ],
)
def test_rdma_is_on_by_any_of_its_keys_and_its_check_off_by_n_only(
    conf: OsConf, is_on: bool, may_check: bool
) -> None:
    assert (conf.is_rdma_on, conf.may_check_rdma_driver) == (is_on, may_check)


def test_bad_rdma_check_switch_does_not_switch_rdma_on() -> None:
    assert conf_of("OS.CheckRdmaDriver=perhaps").os.is_rdma_on is False


def test_proxy_without_a_port_has_the_usual_one() -> None:
    assert HttpProxyConf(host="proxy").port_in_use == 80
    assert HttpProxyConf(host="proxy", port=3128).port_in_use == 3128
