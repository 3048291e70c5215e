"""What the emulator's fabric says is what the agent reads: two ideas of the documents, compared."""

from __future__ import annotations

from dataclasses import replace

from tests.fabric import documents, vmsettings
from tests.fabric.addresses import Addresses
from tests.fabric.certificates import issue_set
from tests.fabric.model import (
    FAST_TRACK_ON,
    AgentFamily,
    Dependency,
    Extension,
    ExtensionGoal,
    JitUser,
    Settings,
    Vm,
    first_boot,
)
from tests.fabric.sealing import Sealer
from waagent.protocol.documents.artifacts_profile import parse_artifacts_profile
from waagent.protocol.documents.extensions import GoalStateSource, parse_extensions_config
from waagent.protocol.documents.goalstate import parse_goal_state
from waagent.protocol.documents.handlers import Handler
from waagent.protocol.documents.hosting import parse_hosting_environment
from waagent.protocol.documents.manifest import parse_manifest
from waagent.protocol.documents.remoteaccess import parse_remote_access
from waagent.protocol.documents.versions import parse_versions
from waagent.protocol.documents.vm_settings import parse_vm_settings

ADDRESSES = Addresses()
FIRST = Settings(4, {"a": [1]}, {"s": 1}, "first", level=2, depends_on=(Dependency("Other.Type"),))
SECOND = Settings(5, None, None, "second", "disabled")
SINGLE = Settings(7, {"ä": "b"}, {"s": 2}, level=1, depends_on=(Dependency("Pub.Many", "first"),))
GOAL = ExtensionGoal(
    extensions=(
        Extension("Pub.Many", "1.2", settings=(FIRST, SECOND), multi_config=True),
        Extension("Other.Type", "2.0", settings=(SINGLE,), signature="MII="),
        Extension("Gone.Type", "3.0", "uninstall", settings=()),
    ),
    families=(AgentFamily("Prod", "9.9", "9.8", True, False), AgentFamily("Test")),
    in_svd_seq_no=12,
    required_features=("MultipleExtensionsPerHandler",),
)


def world() -> tuple[Vm, Sealer]:
    """A machine with something of everything."""
    users = (JitUser("jit1", "pw"), JitUser("jit2", "pw"))
    vm = replace(
        first_boot(), goal=GOAL, fast_goal=GOAL, users=users, fast_track=FAST_TRACK_ON, on_hold=True
    )
    return vm, Sealer(issue_set())


def check_handlers(found: tuple[Handler, ...], sealer: Sealer) -> None:
    """Whether they are those of the model."""
    assert [(h.name, h.version, h.state.value) for h in found] == [
        (e.name, e.version, e.state) for e in GOAL.extensions
    ]
    assert [h.is_multi_config for h in found] == [True, False, False]
    assert [h.encoded_signature for h in found] == ["", "MII=", ""]
    assert all(h.invalid_reason is None and h.manifest_uris for h in found)
    tenant = sealer.tenant
    assert tenant is not None
    for handler, extension in zip(found, GOAL.extensions):
        assert len(handler.settings) == len(extension.settings)
        for entry, wanted in zip(handler.settings, extension.settings):
            assert entry.name == (wanted.name or extension.name)
            assert entry.sequence_number == wanted.seq_no
            assert entry.dependency_level == wanted.level
            assert entry.state.value == wanted.state
            assert entry.public_settings == wanted.public
            sealed = sealer.handler_settings(wanted).get("protectedSettings")
            assert entry.protected_settings == sealed
            assert entry.certificate_thumbprint == (tenant.thumbprint if sealed else None)


def test_emulated_goal_state_is_read_as_meant() -> None:
    """With every URL."""
    vm, _ = world()
    goal = parse_goal_state(documents.render_goal_state(vm, ADDRESSES))
    assert (goal.incarnation, goal.container_id) == (str(vm.incarnation), vm.container_id)
    assert goal.role_instance_id == vm.identity.role_instance
    assert goal.config_name == vm.config_name
    assert goal.deployment_id == vm.identity.deployment_id
    assert goal.extensions_config_url is not None
    assert goal.certificates_url is not None
    assert goal.remote_access_url is not None


def test_emulated_extensions_are_the_same_from_both_sources() -> None:
    """The wire server's XML and the HostPlugin's JSON."""
    vm, sealer = world()
    xml_goal = parse_extensions_config(documents.render_extensions_config(vm, ADDRESSES, sealer))
    settings = parse_vm_settings(vmsettings.render_vm_settings(vm, ADDRESSES, sealer))
    json_goal = settings
    check_handlers(xml_goal.handlers, sealer)
    check_handlers(json_goal.handlers, sealer)
    assert json_goal.source is GoalStateSource.FAST_TRACK
    assert settings.host_plugin_version == vm.host_plugin_version
    assert xml_goal.created_on == json_goal.created_on
    assert xml_goal.agent_families == json_goal.agent_families
    assert xml_goal.agent_families[0].is_version_from_rsm is True
    assert xml_goal.agent_families[1].version is None
    assert xml_goal.status_blob == json_goal.status_blob
    assert xml_goal.required_features == json_goal.required_features == GOAL.required_features
    assert json_goal.svd_seq_no == 12
    assert (xml_goal.on_hold, json_goal.on_hold) == (None, True)


def test_emulated_smaller_documents_are_read_as_meant() -> None:
    """Versions, hosting environment, manifest, users, profile."""
    vm, _ = world()
    assert parse_versions(documents.render_versions()).accepts("2012-11-30")
    hosting = parse_hosting_environment(documents.render_hosting_environment(vm, ["AB"]))
    assert hosting.vm_name is not None
    manifest = parse_manifest(documents.render_manifest([("1.0", ["u", "v"]), ("2.0", [])]))
    assert [(p.version, p.uris) for p in manifest.packages] == [("1.0", ("u", "v")), ("2.0", ())]
    access = parse_remote_access(documents.render_remote_access(vm, ["p1", "p2"]))
    assert [(u.name, u.encrypted_password) for u in access.users] == [
        ("jit1", "p1"),
        ("jit2", "p2"),
    ]
    assert all(user.expires_at is not None for user in access.users)
    assert parse_artifacts_profile(vmsettings.render_artifacts_profile(vm)).on_hold
