"""The HostPlugin's vmSettings and the artifacts profile: the model as JSON."""

from __future__ import annotations

import json
from typing import Any, Optional

from tests.fabric.addresses import MIRRORS, Addresses, agent_name
from tests.fabric.documents import ACTIVITY, CORRELATION
from tests.fabric.model import FAST_TRACK_ON, AgentFamily, Extension, Settings, Vm
from tests.fabric.sealing import Sealer


def render_vm_settings(vm: Vm, addresses: Addresses, sealer: Sealer) -> bytes:
    """The vmSettings document."""
    goal = vm.wanted
    return json.dumps(
        {
            "hostGAPluginVersion": vm.host_plugin_version,
            "vmSettingsSchemaVersion": "0.0",
            "activityId": ACTIVITY,
            "correlationId": CORRELATION,
            "inSvdSeqNo": goal.in_svd_seq_no,
            "certificatesRevision": 0,
            "extensionsLastModifiedTickCount": goal.created_ticks,
            "extensionGoalStatesSource": "FastTrack"
            if vm.fast_track == FAST_TRACK_ON
            else "Fabric",
            "onHold": vm.on_hold,
            "statusUploadBlob": {
                "statusBlobType": vm.blob_type,
                "value": addresses.status_blob(vm),
            },
            "inVMMetadata": _metadata(vm),
            "requiredFeatures": [{"name": name} for name in goal.required_features],
            "gaFamilies": [_family(family, addresses) for family in goal.families],
            "extensionGoalStates": [
                _extension(extension, addresses, sealer) for extension in goal.extensions
            ],
        }
    ).encode()


def render_artifacts_profile(vm: Vm) -> bytes:
    """The artifacts profile, which says whether extensions have to wait."""
    return json.dumps(
        {
            "onHold": vm.on_hold,
            "profileId": "fabric-profile",
            "inVMArtifactsProfileBlobSeqNo": vm.incarnation,
        }
    ).encode()


def _metadata(vm: Vm) -> dict[str, str]:
    one = vm.identity
    return {
        "subscriptionId": one.subscription_id,
        "resourceGroupName": one.resource_group,
        "vmName": one.name,
        "location": one.location,
        "vmId": one.vm_id,
        "vmSize": one.vm_size,
        "osType": "Linux",
    }


def _family(family: AgentFamily, addresses: Addresses) -> dict[str, Any]:
    found: dict[str, Any] = {"name": family.name}
    optional: dict[str, Optional[object]] = {
        "version": family.version,
        "fromVersion": family.from_version,
        "isVersionFromRSM": family.from_rsm,
        "isVMEnabledForRSMUpgrades": family.vm_enabled,
    }
    found.update({key: value for key, value in optional.items() if value is not None})
    found["uris"] = [addresses.manifest(agent_name(family.name), n) for n in range(MIRRORS)]
    return found


def _extension(extension: Extension, addresses: Addresses, sealer: Sealer) -> dict[str, Any]:
    first, second, *others = (addresses.manifest(extension.name, n) for n in range(MIRRORS))
    found: dict[str, Any] = {
        "name": extension.name,
        "version": extension.version,
        "location": first,
        "failoverLocation": second,
        "additionalLocations": others,
        "state": extension.state,
        "autoUpgrade": True,
        "runAsStartupTask": False,
        "isJson": True,
        "useExactVersion": True,
        "isMultiConfig": extension.multi_config,
        "settings": [_settings(item, extension, sealer) for item in extension.settings],
    }
    if extension.signature:
        found["encodedSignature"] = extension.signature
    if extension.settings and not extension.multi_config:
        found["settingsSeqNo"] = extension.settings[0].seq_no
    depends = [_depends_on(item, extension) for item in extension.settings if item.level]
    if depends:
        found["dependsOn"] = depends
    return found


def _settings(item: Settings, extension: Extension, sealer: Sealer) -> dict[str, Any]:
    found = sealer.handler_settings(item)
    if "publicSettings" in found:
        found["publicSettings"] = json.dumps(found["publicSettings"])
    if extension.multi_config:
        found.update(seqNo=item.seq_no, extensionName=item.name, extensionState=item.state)
    return found


def _depends_on(item: Settings, extension: Extension) -> dict[str, Any]:
    on = [
        {"handler": d.handler, **({"extension": d.extension} if d.extension else {})}
        for d in item.depends_on
    ]
    found: dict[str, Any] = {"dependsOnExtension": on, "dependencyLevel": item.level}
    if extension.multi_config:
        found["name"] = item.name
    return found
