"""Small good documents with every element that the parsers look at, to be mutated."""

from __future__ import annotations

import json

from waagent.protocol.dhcp_packet import render_discover

GOAL_STATE = b"""<?xml version="1.0" encoding="utf-8"?>
<GoalState><Version>2012-11-30</Version><Incarnation>1</Incarnation><Container>
<ContainerId>c</ContainerId><RemoteAccessInfo> http://r </RemoteAccessInfo><RoleInstanceList>
<RoleInstance><InstanceId>i</InstanceId><Configuration><ConfigName>a.1.b.xml</ConfigName>
<HostingEnvironmentConfig>http://h</HostingEnvironmentConfig><SharedConfig>http://s</SharedConfig>
<ExtensionsConfig>http://e?a&amp;b</ExtensionsConfig><Certificates>http://k</Certificates>
</Configuration></RoleInstance></RoleInstanceList></Container></GoalState>"""

VERSIONS = (
    b"<Versions><Preferred><Version>2012-11-30</Version></Preferred>"
    b"<Supported><Version>2010-12-15</Version></Supported></Versions>"
)
CERTIFICATES = (
    b"<CertificateFile><Format>Pkcs7BlobWithPfxContents</Format>"
    b"<Data>MIIO\ngwYJ</Data></CertificateFile>"
)
HOSTING = (
    b'<HostingEnvironmentConfig><Incarnation instance="v"/><Role name="r"/>'
    b'<Deployment name="d"/></HostingEnvironmentConfig>'
)
MANIFEST = b"""<PluginVersionManifest><Plugins><Plugin><Version>1.0</Version><Uris><Uri>u</Uri>
</Uris><DisallowMajorVersionUpgrade>true</DisallowMajorVersionUpgrade></Plugin></Plugins>
<InternalPlugins><Plugin><Version>2.0</Version></Plugin></InternalPlugins>
</PluginVersionManifest>"""
EXTENSIONS_CONFIG = b"""<Extensions version="1.0.0.0" goalStateIncarnation="1"><GuestAgentExtension>
<GAFamilies><GAFamily><Name>Prod</Name><Version>1.2</Version><FromVersion>1.1</FromVersion>
<IsVersionFromRSM>true</IsVersionFromRSM><IsVMEnabledForRSMUpgrades>x</IsVMEnabledForRSMUpgrades>
<Uris><Uri>u</Uri></Uris></GAFamily></GAFamilies></GuestAgentExtension>
<StatusUploadBlob statusBlobType="PageBlob">https://s/b?sv=1&amp;sig=S</StatusUploadBlob>
<RequiredFeatures><RequiredFeature><Name>F</Name></RequiredFeature></RequiredFeatures><Plugins>
<Plugin name="A.B" version="1.0" location="l" failoverlocation="f" state="enabled"
encodedSignature="MII"><additionalLocations><additionalLocation>a</additionalLocation>
</additionalLocations></Plugin><Plugin name="C.D" version="2.0" state="disabled"/></Plugins>
<PluginSettings><Plugin name="A.B" version="1.0"><DependsOn dependencyLevel="1"/>
<RuntimeSettings seqNo="4">{"runtimeSettings": [{"handlerSettings": {"publicSettings": {"a": 1},
"protectedSettings": "SECRET", "protectedSettingsCertThumbprint": "AB"}}]}</RuntimeSettings>
</Plugin><Plugin name="C.D" version="2.0"><DependsOn dependencyLevel="3" name="x"/>
<ExtensionRuntimeSettings seqNo="2" name="x" state="enabled">{"runtimeSettings": []}
</ExtensionRuntimeSettings></Plugin></PluginSettings>
<InVMArtifactsProfileBlob>https://p/b?sig=S</InVMArtifactsProfileBlob>
<InVMGoalStateMetaData inSvdSeqNo="9" createdOnTicks="637726657706205217" activityId="a"
correlationId="c"/></Extensions>"""
VM_SETTINGS = json.dumps(
    {
        "hostGAPluginVersion": "1.0.8.175",
        "activityId": "a",
        "inSvdSeqNo": 9,
        "extensionsLastModifiedTickCount": 638852750771746340,
        "extensionGoalStatesSource": "FastTrack",
        "onHold": False,
        "statusUploadBlob": {"statusBlobType": "PageBlob", "value": "https://s/b?sig=S"},
        "requiredFeatures": [{"name": "F"}],
        "gaFamilies": [{"Name": "Prod", "version": "1.2", "isVersionFromRSM": True, "uris": ["u"]}],
        "extensionGoalStates": [
            {
                "name": "A.B",
                "version": "1.0",
                "location": "l",
                "failoverlocation": "f",
                "additionalLocations": ["a"],
                "state": "enabled",
                "settingsSeqNo": 5,
                "settings": [
                    {
                        "protectedSettings": "SECRET",
                        "protectedSettingsCertThumbprint": "AB",
                        "publicSettings": '{"a":1}',
                    }
                ],
                "dependsOn": [{"DependsOnExtension": [{"handler": "H"}], "dependencyLevel": 1}],
            },
            {
                "name": "C.D",
                "version": "2.0",
                "state": "uninstall",
                "isMultiConfig": True,
                "settings": [{"seqNo": 0, "extensionName": "x", "extensionState": "enabled"}],
                "dependsOn": [{"dependencyLevel": 2, "name": "x"}],
            },
        ],
    }
).encode()
PROFILE = b'{"onHold": "true", "profileId": "p"}\0\0'
REMOTE_ACCESS = (
    b"<RemoteAccess><Version>1</Version><Incarnation>1</Incarnation><Users><User><Name>n</Name>"
    b"<Password>cGFzcw==</Password><Expiration>Fri, 31 Jan 2025 10:00:00 GMT</Expiration></User>"
    b"</Users></RemoteAccess>"
)
OVF = b"""<Environment xmlns="http://schemas.dmtf.org/ovf/environment/1"
xmlns:wa="http://schemas.microsoft.com/windowsazure"><wa:ProvisioningSection>
<wa:Version>1.0</wa:Version><wa:LinuxProvisioningConfigurationSet><wa:HostName>h</wa:HostName>
<wa:UserName>u</wa:UserName><wa:UserPassword>SECRET</wa:UserPassword>
<wa:CustomData>ZGF0YQ==</wa:CustomData><wa:SSH><wa:PublicKeys><wa:PublicKey><wa:Path>p</wa:Path>
<wa:Fingerprint>F</wa:Fingerprint><wa:Value>ssh-rsa A</wa:Value></wa:PublicKey></wa:PublicKeys>
<wa:KeyPairs><wa:KeyPair><wa:Path>p</wa:Path></wa:KeyPair></wa:KeyPairs></wa:SSH>
</wa:LinuxProvisioningConfigurationSet></wa:ProvisioningSection><wa:PlatformSettingsSection>
<wa:PlatformSettings><wa:ProvisionGuestAgent>true</wa:ProvisionGuestAgent></wa:PlatformSettings>
</wa:PlatformSettingsSection></Environment>"""
DHCP_OFFER = render_discover(b"\x00\x15\x5d\x38\xaa\x38", b"\xc6\xaa\xd1\x5d")[:-1] + bytes.fromhex(
    "f504a83f8110 03040a000001 f91220a83f81100a000001150a01080a000001 7905000a000001 ff"
)
SHARED_CONFIG = (
    b'<SharedConfig><Deployment name="d"/><Instances><Instance id="i" address="10.0.0.4" '
    b'rdmaIPv4Address="172.16.1.7" rdmaMacAddress="00155D33FF1D"/></Instances></SharedConfig>'
)
EVENT = json.dumps(
    {
        "eventId": 1,
        "providerId": "69B669B9-4AF8-4C50-BDC4-6006FA76E975",
        "parameters": [{"name": "Name", "value": "x"}, {"name": "IsInternal", "value": False}],
    }
).encode()
OLD_EVENT = b"""<Data><Provider id="69B669B9-4AF8-4C50-BDC4-6006FA76E975"/><Event id="1"/>
<Param Name="Name" Value="x" T="mt:wstr"/><Param Name="Duration" Value="7" T="mt:uint64"/>
<Param Name="Load" Value="1.5" T="mt:float64"/><Param Name="Is" Value="True" T="mt:bool"/></Data>"""
EXTENSION_EVENT = json.dumps(
    {
        "EventLevel": "Informational",
        "EventPid": "7",
        "EventTid": 7,
        "Message": "m",
        "OperationId": "o",
        "TaskName": "t",
        "Timestamp": "2025-01-31T10:00:00Z",
        "Version": "1.0",
    }
).encode()
COMPUTE = json.dumps(
    {
        "location": "westus2",
        "subscriptionId": "s",
        "resourceGroupName": "g",
        "vmId": "v",
        "publisher": "Canonical",
        "offer": "UbuntuServer",
        "sku": "18.04-LTS",
        "version": "1.0",
    }
).encode()
INSTANCE = json.dumps(
    {
        "network": {
            "interface": [
                {"macAddress": "0", "ipv4": {"ipAddress": [{"privateIpAddress": "10.0.0.4"}]}}
            ]
        }
    }
).encode()
STATUS = json.dumps(
    [
        {
            "status": {
                "name": "n",
                "operation": "Enable",
                "status": "success",
                "code": "1",
                "configurationAppliedTime": "2025-01-31T10:00:00Z",
                "formattedMessage": {"lang": "en-US", "message": "m"},
                "substatus": [
                    {
                        "name": "a",
                        "status": "error",
                        "code": 1,
                        "formattedMessage": {"message": "b"},
                    }
                ],
            },
            "version": "1.0",
            "timestampUTC": "2025-01-31T10:00:00Z",
        }
    ]
).encode()
STORED_STATUS = b'{"name": "A.B", "version": "1.0", "status": "Ready", "code": 0, "message": "m"}'
HANDLER_MANIFEST = json.dumps(
    [
        {
            "name": "A.B",
            "version": 1.0,
            "handlerManifest": {
                "installCommand": "bin/i -a",
                "uninstallCommand": "bin/u",
                "updateCommand": "bin/p",
                "enableCommand": "bin/e",
                "disableCommand": "bin/d",
                "rebootAfterInstall": False,
                "reportHeartbeat": "true",
                "updateMode": "UpdateWithInstall",
                "continueOnUpdateFailure": True,
                "supportsMultipleExtensions": False,
            },
        }
    ]
).encode()
KVP_POOL = b"".join(
    part.ljust(size, b"\0")
    for part, size in (
        (b"NdDriverVersion", 512),
        (b"142.0", 2048),
        (b"IPoIB_Data", 512),
        (b"NUMPAIRS:1|00155D33FF1D:172.16.1.7", 2048),
    )
)
IPOIB_DATA = b"NUMPAIRS:2|00155D33FF1D:172.16.1.7|00:15:5D:33:FF:1E:172.16.1.8"
MODINFO = b"filename: /lib/x.ko\nversion:        4.1.0\nlicense: GPL\n"
OS_RELEASE = (
    b'NAME="Ubuntu"\nVERSION="24.04 (N N)"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n'
)
OLD_RELEASE = b"CentOS Linux release 7.9.2009 (Core)\n"
ZYPPER = b"S | Name | Type | Version | Arch | Repository\ni | n | package | 1.2 | x86_64 | r\n"
