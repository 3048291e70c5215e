"""What is fuzzed: each ``parse_*``, what it may return, and good documents to begin with.

A new wire document is one row here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz import seeds
from waagent.core.errors import DocumentError, EventDropped
from waagent.extensions.codes import ManifestError, StatusFault
from waagent.extensions.manifest import HandlerManifest, parse_handler_manifest
from waagent.extensions.status import Subject, parse_extension_status
from waagent.extensions.stored import StoredStatus, parse_stored_status
from waagent.guest import profiles, release
from waagent.guest.profile import Profile
from waagent.protocol import dhcp_packet
from waagent.protocol.documents import (
    artifacts_profile,
    certificates,
    extension_events,
    extensions,
    goalstate,
    hosting,
    instance,
    manifest,
    ovf,
    redacted,
    remoteaccess,
    shared_config,
    telemetry,
    versions,
    vm_settings,
)
from waagent.protocol.documents.status import ExtensionStatus
from waagent.rdma import texts, zypper


@dataclass(frozen=True)
class Target:
    """One parser; ``samples`` are real documents that join the seeds where they are present."""

    parse: Callable[[bytes], object]
    returns: type
    seeds: tuple[bytes, ...]
    samples: tuple[str, ...] = ()

    def __str__(self) -> str:
        return getattr(self.parse, "__name__", "target")


def text_of(data: bytes) -> str:
    """As the room that parses it has read it."""
    return data.decode("utf-8", "backslashreplace")


def parse_extension_events(data: bytes) -> object:
    """Each item of a file, as an event or as a reason to drop it."""
    return tuple(find_event(item) for item in extension_events.parse_event_items(data))


def find_event(item: object) -> object:
    """The event, or why there is none."""
    try:
        return extension_events.parse_extension_event(item)
    except EventDropped as error:
        return str(error)


def find_instance_fault(data: bytes) -> object:
    """What is wrong with the metadata service's answer, or nothing."""
    return instance.find_instance_fault(data) or ""


def parse_status_file(data: bytes) -> object:
    """The status that an extension wrote, or what is said of one that is none, in any length."""
    try:
        return parse_extension_status(data, SUBJECT)
    except (StatusFault, DocumentError) as error:
        return ExtensionStatus("A.B", None, 0, status="error", message=str(error))


def parse_publisher_manifest(data: bytes) -> object:
    """HandlerManifest.json, or one without commands where it is none."""
    try:
        return parse_handler_manifest(data)
    except ManifestError:
        return HandlerManifest()


def parse_ipoib_data(data: bytes) -> object:
    """What the host tells of SR-IOV devices."""
    return texts.parse_ipoib_data(text_of(data))


def parse_module_version(data: bytes) -> object:
    """What modinfo prints; it may tell no version."""
    return texts.parse_module_version(text_of(data)) or ()


def profile_of_release(data: bytes) -> object:
    """What os-release says, to the end: the profile that follows from it."""
    return profiles.profile_of(release.parse_os_release(text_of(data)))


def profile_of_old_release(data: bytes) -> object:
    """The same, of a file as there was before os-release."""
    return profiles.profile_of(release.parse_old_release(text_of(data)))


def parse_search(data: bytes) -> object:
    """What zypper prints."""
    return zypper.parse_search(text_of(data))


SUBJECT = Subject("A.B", None, 0, "A.B", "1.0")
CONFIGS = (
    "wire/ext_conf_in_vm_metadata.xml",
    "wire/ext_conf_sequencing.xml",
    "wire/ext_conf_rsm_version.xml",
    "wire/multi-config/ext_conf_with_multi_config.xml",
)
VM_SETTINGS = (
    "hostgaplugin/vm_settings-no_status_upload_blob.json",
    "hostgaplugin/vm_settings.json",
)

TARGETS = (
    Target(
        goalstate.parse_goal_state,
        goalstate.GoalState,
        (seeds.GOAL_STATE,),
        ("wire/goal_state.xml", "wire/goal_state_remote_access.xml"),
    ),
    Target(
        versions.parse_versions, versions.Versions, (seeds.VERSIONS,), ("wire/version_info.xml",)
    ),
    Target(
        certificates.parse_certificates,
        certificates.CertificateFile,
        (seeds.CERTIFICATES,),
        ("wire/certs_format_not_pfx.xml",),
    ),
    Target(
        hosting.parse_hosting_environment,
        hosting.HostingEnvironment,
        (seeds.HOSTING,),
        ("wire/hosting_env.xml",),
    ),
    Target(
        manifest.parse_manifest, manifest.Manifest, (seeds.MANIFEST,), ("wire/ga_manifest.xml",)
    ),
    Target(
        extensions.parse_extensions_config,
        extensions.ExtensionsGoalState,
        (seeds.EXTENSIONS_CONFIG,),
        CONFIGS,
    ),
    Target(
        vm_settings.parse_vm_settings,
        extensions.ExtensionsGoalState,
        (seeds.VM_SETTINGS,),
        VM_SETTINGS,
    ),
    Target(
        artifacts_profile.parse_artifacts_profile,
        artifacts_profile.ArtifactsProfile,
        (seeds.PROFILE,),
    ),
    Target(
        remoteaccess.parse_remote_access,
        remoteaccess.RemoteAccess,
        (seeds.REMOTE_ACCESS,),
        ("wire/remote_access_two_accounts.xml",),
    ),
    Target(ovf.parse_ovf_env, ovf.OvfEnv, (seeds.OVF,), ("ovf/ovf-env.xml",)),
    Target(ovf.without_password, bytes, (seeds.OVF,), ("ovf/ovf-env.xml",)),
    Target(redacted.redact_extensions_config, bytes, (seeds.EXTENSIONS_CONFIG,), CONFIGS),
    Target(redacted.redact_vm_settings, bytes, (seeds.VM_SETTINGS,), VM_SETTINGS),
    Target(
        shared_config.parse_shared_config,
        shared_config.SharedConfig,
        (seeds.SHARED_CONFIG,),
        ("wire/shared_config.xml",),
    ),
    Target(telemetry.parse_event, telemetry.TelemetryEvent, (seeds.EVENT, seeds.OLD_EVENT), ()),
    Target(
        parse_extension_events,
        tuple,
        (seeds.EXTENSION_EVENT,),
        ("events/1591905451.json",),
    ),
    Target(instance.parse_compute, instance.Compute, (seeds.COMPUTE,)),
    Target(find_instance_fault, str, (seeds.INSTANCE,), ("imds/valid.json",)),
    Target(parse_status_file, ExtensionStatus, (seeds.STATUS,), ("ext/sample-status.json",)),
    Target(parse_stored_status, StoredStatus, (seeds.STORED_STATUS,)),
    Target(parse_publisher_manifest, HandlerManifest, (seeds.HANDLER_MANIFEST,)),
    Target(texts.parse_kvp_pool, dict, (seeds.KVP_POOL,)),
    Target(parse_ipoib_data, tuple, (seeds.IPOIB_DATA,)),
    Target(parse_module_version, tuple, (seeds.MODINFO,)),
    Target(parse_search, tuple, (seeds.ZYPPER,)),
    Target(profile_of_release, Profile, (seeds.OS_RELEASE,)),
    Target(profile_of_old_release, Profile, (seeds.OLD_RELEASE,)),
    Target(
        dhcp_packet.parse_offer, dhcp_packet.DhcpOffer, (seeds.DHCP_OFFER,), ("dhcp/response.bin",)
    ),
)
