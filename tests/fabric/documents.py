"""The wire server's XML documents, written from the model, independently of any agent."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Optional
from xml.sax.saxutils import escape, quoteattr

from tests.fabric.addresses import MIRRORS, Addresses, agent_name
from tests.fabric.model import AgentFamily, Extension, ExtensionGoal, Settings, Vm
from tests.fabric.sealing import Sealer

DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
XSI_I = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
PROTOCOL = "2012-11-30"
SUPPORTED = (
    PROTOCOL, "2012-09-15", "2012-05-15", "2011-12-31", "2011-10-15", "2011-08-31",
    "2011-04-07", "2010-12-15", "2010-28-10", "2015-04-05",
)  # fmt: skip
ACTIVITY = "5a1f0b9c-7d3e-4c2a-9b18-6e5d4c3b2a19"
CORRELATION = "6b2e1c0d-8e4f-4d3b-8c29-7f6e5d4c3b2a"


def render_versions(preferred: str = "2015-04-05") -> bytes:
    """The answer to `?comp=versions`."""
    listed = "".join(f"    <Version>{v}</Version>\n" for v in SUPPORTED)
    return (
        f"{DECLARATION}<Versions>\n  <Preferred>\n    <Version>{preferred}</Version>\n"
        f"  </Preferred>\n  <Supported>\n{listed}  </Supported>\n</Versions>\n"
    ).encode()


def render_goal_state(vm: Vm, addresses: Addresses) -> bytes:
    """The goal state: who the machine is and where its documents are."""

    def link(element: str, kind: str) -> str:
        return f"<{element}>{escape(addresses.document(vm, kind))}</{element}>"

    links = [link("HostingEnvironmentConfig", "hostingEnvironmentConfig")]
    links.append(link("SharedConfig", "sharedConfig"))
    if vm.has_extensions_config:
        links.append(link("ExtensionsConfig", "extensionsConfig"))
    links.append(link("FullConfig", "fullConfig"))
    if vm.has_certificates:
        links.append(link("Certificates", "certificates"))
    remote = link("RemoteAccessInfo", "remoteAccessInfo") if vm.users is not None else ""
    return (
        f'{DECLARATION}<GoalState {XSI} xsi:noNamespaceSchemaLocation="goalstate10.xsd">'
        f"<Version>{PROTOCOL}</Version><Incarnation>{vm.incarnation}</Incarnation>"
        "<Machine><ExpectedState>Started</ExpectedState>"
        "<StopRolesDeadlineHint>300000</StopRolesDeadlineHint>"
        "<LBProbePorts><Port>16001</Port></LBProbePorts>"
        "<ExpectHealthReport>FALSE</ExpectHealthReport></Machine>"
        f"<Container><ContainerId>{vm.container_id}</ContainerId>{remote}<RoleInstanceList>"
        f"<RoleInstance><InstanceId>{escape(vm.identity.role_instance)}</InstanceId>"
        f"<State>Started</State><Configuration>{''.join(links)}"
        f"<ConfigName>{escape(vm.config_name)}</ConfigName></Configuration>"
        "</RoleInstance></RoleInstanceList></Container></GoalState>"
    ).encode()


def _deployment(vm: Vm) -> str:
    return (
        f"<Deployment name={quoteattr(vm.identity.deployment_id)} "
        f'guid="{{{vm.identity.deployment_id}}}" incarnation="0">'
        '<Service name="FabricService" guid="{00000000-0000-0000-0000-000000000000}" />'
        f"<ServiceInstance name={quoteattr(vm.identity.deployment_id + '.0')} "
        'guid="{1b7a5e7d-32a2-4f0e-9e2b-9d6e8c7b5a43}" /></Deployment>'
        f"<Incarnation number={quoteattr(str(vm.incarnation))} "
        f"instance={quoteattr(vm.identity.role_name)} "
        'guid="{8e4f2a6c-51d7-4b3e-a0c9-7f6d5e4c3b2a}" />'
    )


def render_hosting_environment(vm: Vm, thumbprints: Iterable[str]) -> bytes:
    """The hosting environment, in the form that names deployment and role."""
    stored = "".join(
        f'<StoredCertificate name="Stored{n}Certificate" certificateId="sha1:{thumbprint}" '
        'storeName="My" configurationLevel="System" />'
        for n, thumbprint in enumerate(thumbprints)
    )
    role = quoteattr(vm.identity.role_name)
    return (
        f'{DECLARATION}<HostingEnvironmentConfig version="1.0.0.0" '
        f'goalStateIncarnation="{vm.incarnation}"><StoredCertificates>{stored}'
        f"</StoredCertificates>{_deployment(vm)}"
        f'<Role guid="{{73d95f1c-6472-e58e-7a1a-523554e11d46}}" name={role} '
        'hostingEnvironmentVersion="1" software="" softwareType="ApplicationPackage" '
        'entryPoint="" parameters="" settleTimeSeconds="10" />'
        '<HostingEnvironmentSettings name="full" runtime="">'
        '<CAS mode="full" /><PrivilegeLevel mode="max" /></HostingEnvironmentSettings>'
        "<ApplicationSettings /><ResourceReferences /></HostingEnvironmentConfig>"
    ).encode()


def render_shared_config(vm: Vm) -> bytes:
    """The shared config: instances and endpoints, which other products read."""
    role = quoteattr(vm.identity.role_name)
    return (
        f'{DECLARATION}<SharedConfig version="1.0.0.0" goalStateIncarnation="{vm.incarnation}">'
        f"{_deployment(vm)}"
        f'<Role guid="{{73d95f1c-6472-e58e-7a1a-523554e11d46}}" name={role} '
        'settleTimeSeconds="10" />'
        '<LoadBalancerSettings timeoutSeconds="0" waitLoadBalancerProbeCount="8">'
        f"<Probes><Probe name={role} /></Probes></LoadBalancerSettings><OutputEndpoints />"
        f"<Instances><Instance id={role} address={quoteattr(vm.identity.private_ip)}>"
        '<FaultDomains randomId="0" updateId="0" updateCount="0" /><InputEndpoints>'
        f'<Endpoint name="SSH" address="{vm.identity.private_ip}:22" protocol="tcp" '
        'isPublic="true" loadBalancedPublicAddress="198.51.100.7:22" />'
        "</InputEndpoints></Instance></Instances></SharedConfig>"
    ).encode()


def render_full_config(vm: Vm) -> bytes:
    """The full config, which no known agent reads."""
    role = quoteattr(vm.identity.role_name)
    return (
        f'{DECLARATION}<RoleInstanceConfig version="1.0.0.0" '
        f'goalStateIncarnation="{vm.incarnation}">{_deployment(vm)}<Role name={role} />'
        "</RoleInstanceConfig>"
    ).encode()


def render_certificates(vm: Vm, data: bytes) -> bytes:
    """The certificate file around an enveloped PFX."""
    text = base64.b64encode(data).decode()
    lines = "\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    return (
        f"{DECLARATION}<CertificateFile {XSI} "
        f'xsi:noNamespaceSchemaLocation="certificates10.xsd">\n  <Version>{PROTOCOL}</Version>\n'
        f"  <Incarnation>{vm.incarnation}</Incarnation>\n"
        f"  <Format>{escape(vm.certificate_format)}</Format>\n"
        f"  <Data>{lines}</Data>\n</CertificateFile>\n"
    ).encode()


def render_remote_access(vm: Vm, passwords: Iterable[str]) -> bytes:
    """The just-in-time users, their passwords sealed already."""
    users = "".join(
        f"<User><Name>{escape(user.name)}</Name><Password>{password}</Password>"
        f"<Expiration>{escape(user.expiration)}</Expiration><Groups>"
        + "".join(f"<GroupName>{escape(group)}</GroupName>" for group in user.groups)
        + "</Groups></User>"
        for user, password in zip(vm.users or (), passwords)
    )
    return (
        f"{DECLARATION}<RemoteAccess><Version>1</Version>"
        f"<Incarnation>{vm.incarnation}</Incarnation><Users>{users}</Users></RemoteAccess>"
    ).encode()


def render_extensions_config(vm: Vm, addresses: Addresses, sealer: Sealer) -> bytes:
    """What extensions the machine is to have, as the wire server says it."""
    goal = vm.goal
    families = "".join(_family(family, addresses) for family in goal.families)
    features = "".join(
        f"<RequiredFeature><Name>{escape(name)}</Name></RequiredFeature>"
        for name in goal.required_features
    )
    required = f"<RequiredFeatures>{features}</RequiredFeatures>" if features else ""
    plugins = "".join(_plugin(extension, addresses) for extension in goal.extensions)
    settings = "".join(_plugin_settings(e, sealer) for e in goal.extensions if e.settings)
    return (
        f'{DECLARATION}<Extensions version="1.0.0.0" goalStateIncarnation="{vm.incarnation}">'
        f"<GuestAgentExtension {XSI_I}><GAFamilies>{families}</GAFamilies>"
        f"<Location>{escape(vm.identity.location)}</Location><ServiceName>CRP</ServiceName>"
        "</GuestAgentExtension>"
        f'<StatusUploadBlob statusBlobType="{vm.blob_type}">'
        f"{escape(addresses.status_blob(vm))}</StatusUploadBlob>{required}"
        f"<Plugins>{plugins}</Plugins><PluginSettings>{settings}</PluginSettings>"
        f"<InVMArtifactsProfileBlob>{escape(addresses.profile_blob(vm))}"
        f"</InVMArtifactsProfileBlob>{_metadata(goal)}</Extensions>"
    ).encode()


def _metadata(goal: ExtensionGoal) -> str:
    return (
        f'<InVMGoalStateMetaData inSvdSeqNo="{goal.in_svd_seq_no}" '
        f'createdOnTicks="{goal.created_ticks}" activityId="{ACTIVITY}" '
        f'correlationId="{CORRELATION}" />'
    )


def _family(family: AgentFamily, addresses: Addresses) -> str:
    def maybe(element: str, value: Optional[str]) -> str:
        return "" if value is None else f"<{element}>{escape(value)}</{element}>"

    uris = "".join(
        f"<Uri>{escape(addresses.manifest(agent_name(family.name), n))}</Uri>"
        for n in range(MIRRORS)
    )
    return (
        f"<GAFamily><Name>{escape(family.name)}</Name>{maybe('Version', family.version)}"
        f"{maybe('FromVersion', family.from_version)}"
        f"{maybe('IsVersionFromRSM', _boolean(family.from_rsm))}"
        f"{maybe('IsVMEnabledForRSMUpgrades', _boolean(family.vm_enabled))}"
        f"<Uris>{uris}</Uris></GAFamily>"
    )


def _boolean(value: Optional[bool]) -> Optional[str]:
    return None if value is None else str(value).lower()


def _plugin(extension: Extension, addresses: Addresses) -> str:
    first, second, *others = (addresses.manifest(extension.name, n) for n in range(MIRRORS))
    signature = f" encodedSignature={quoteattr(extension.signature)}" if extension.signature else ""
    more = "".join(f"<additionalLocation>{escape(u)}</additionalLocation>" for u in others)
    return (
        f"<Plugin name={quoteattr(extension.name)} version={quoteattr(extension.version)} "
        f"location={quoteattr(first)} failoverlocation={quoteattr(second)} "
        f'state={quoteattr(extension.state)} autoUpgrade="true" runAsStartupTask="false" '
        f'isJson="true" useExactVersion="true"{signature}>'
        f"<additionalLocations>{more}</additionalLocations></Plugin>"
    )


def _plugin_settings(extension: Extension, sealer: Sealer) -> str:
    parts = "".join(_depends_on(s) for s in extension.settings if s.level)
    for item in extension.settings:
        text = escape(json.dumps(sealer.runtime_settings(item)))
        if extension.multi_config:
            parts += (
                f'<ExtensionRuntimeSettings seqNo="{item.seq_no}" '
                f"name={quoteattr(item.name or '')} state={quoteattr(item.state)}>"
                f"{text}</ExtensionRuntimeSettings>"
            )
        else:
            parts += f'<RuntimeSettings seqNo="{item.seq_no}">{text}</RuntimeSettings>'
    return (
        f"<Plugin name={quoteattr(extension.name)} version={quoteattr(extension.version)}>"
        f"{parts}</Plugin>"
    )


def _depends_on(item: Settings) -> str:
    name = f" name={quoteattr(item.name)}" if item.name else ""
    on = "".join(
        "<DependsOnExtension "
        + (f"extension={quoteattr(d.extension)} " if d.extension else "")
        + f"handler={quoteattr(d.handler)} />"
        for d in item.depends_on
    )
    return f'<DependsOn dependencyLevel="{item.level}"{name}>{on}</DependsOn>'


def render_manifest(packages: Iterable[tuple[str, Iterable[str]]]) -> bytes:
    """A manifest of versions and where each is."""
    plugins = "".join(
        f"<Plugin><Version>{escape(version)}</Version><Uris>"
        + "".join(f"<Uri>{escape(uri)}</Uri>" for uri in uris)
        + "</Uris></Plugin>"
        for version, uris in packages
    )
    return (
        f"{DECLARATION}<PluginVersionManifest {XSI_I}><Plugins>{plugins}</Plugins>"
        "</PluginVersionManifest>"
    ).encode()
