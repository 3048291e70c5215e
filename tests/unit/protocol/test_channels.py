"""Two ways to storage: which is first, what both say, several URIs (WIRE 6.3)."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.transport import answers, no_answer
from tests.unit.protocol.world import ARTIFACT, GOAL_STATE, STATUS, Script, World, goal_state
from waagent.core.errors import AgentError, HttpError
from waagent.core.events import Op
from waagent.protocol.channels import MOST_URIS, DownloadError
from waagent.protocol.documents.extensions import StatusBlob
from waagent.protocol.errors import ProtocolFault

TOKEN = "?sv=1&sig=secret"
MIRROR = "https://one.example/m.xml" + TOKEN
OTHER = "https://two.example/m.xml" + TOKEN
PACKAGE = "https://one.example/p.zip" + TOKEN
BLOB = "https://one.example/vm.status" + TOKEN


def world(root: Path, script: Script) -> World:
    """Storage and host as scripted."""
    return World(root, script)


def changes(one: World) -> list[str]:
    """What was said of the first choice."""
    return [message for _, message in one.events(Op.DEFAULT_CHANNEL_CHANGE)]


def test_direct_download_has_no_header_of_ours_and_may_use_a_proxy(tmp_path: Path) -> None:
    one = world(tmp_path, {("GET", MIRROR): answers(200, b"manifest")})
    assert one.session.channels.fetch_text([MIRROR], "a manifest") == b"manifest"
    (sent,) = one.transport.sent
    assert sent.headers == ()
    assert sent.via_proxy


def test_channels_change_places_in_both_directions(tmp_path: Path) -> None:
    one = world(
        tmp_path,
        {
            ("GET", MIRROR): [answers(404), answers(200, b"direct")],
            ARTIFACT: [answers(200, b"host"), answers(200, b"host"), answers(404)],
        },
    )
    channels = one.session.channels
    assert channels.fetch_text([MIRROR], "m") == b"host"
    assert channels.fetch_text([MIRROR], "m") == b"host"
    assert one.asked(("GET", MIRROR)) == 1
    assert channels.fetch_text([MIRROR], "m") == b"direct"
    assert changes(one) == [
        "Default channel changed to HostGAPlugin channel.",
        "Default channel changed to Direct channel.",
    ]


def test_host_is_told_location_and_manifest_of_a_package(tmp_path: Path) -> None:
    one = world(
        tmp_path,
        {
            ("GET", MIRROR): answers(404),
            ("GET", PACKAGE): answers(404),
            ARTIFACT: [answers(200, b"manifest"), answers(200, b"package")],
        },
    )
    one.session.channels.verify_artifacts = True
    one.session.channels.fetch_text([MIRROR], "m")
    first = one.headers(ARTIFACT)
    assert first["x-ms-artifact-location"] == MIRROR
    assert first["x-ms-verify-from-artifacts-blob"] == "true"
    assert "x-ms-artifact-manifest-location" not in first
    got: list[bytes] = []
    one.session.channels.fetch_package(
        [PACKAGE], tmp_path / "p.zip", lambda path: got.append(path.read_bytes())
    )
    assert got == [b"package"]
    second = one.headers(ARTIFACT)
    assert second["x-ms-artifact-location"] == PACKAGE
    assert second["x-ms-artifact-manifest-location"] == MIRROR


def test_profile_is_never_verified(tmp_path: Path) -> None:
    one = world(tmp_path, {("GET", MIRROR): answers(404), ARTIFACT: answers(200, b"{}")})
    one.session.channels.verify_artifacts = True
    one.session.channels.fetch_profile(MIRROR)
    assert "x-ms-verify-from-artifacts-blob" not in one.headers(ARTIFACT)


def test_refusal_of_both_ways_names_both_and_no_token(tmp_path: Path) -> None:
    one = world(tmp_path, {("GET", MIRROR): answers(404), ARTIFACT: answers(505, b"broken")})
    with pytest.raises(DownloadError) as caught:
        one.session.channels.fetch_text([MIRROR], "a manifest")
    text = caught.value.for_fabric()
    assert text.startswith(
        "[ExtensionDownloadError] Failed to download a manifest from all URIs. Last error: "
        "[HttpError] Download failed both on the primary and fallback channels. Primary: "
    )
    assert "[404" in text
    assert "[505" in text
    assert "secret" not in text
    assert changes(one) == []
    told = "Fetch failed: [ProtocolError] Fetch failed from [https"
    assert [message[: len(told)] for _, message in one.events(Op.HTTP_GET)] == [told] * 2
    assert one.observations("GuestAgentPluginArtifact")[0][0] is True, "one failure is none"


def test_bad_request_is_tried_again_for_texts_and_means_that_we_moved_for_packages(
    tmp_path: Path,
) -> None:
    stale = answers(400, b'{"errorCode": "InvalidContainerConfiguration"}')
    one = world(
        tmp_path,
        {
            ("GET", MIRROR): answers(404),
            ("GET", PACKAGE): answers(404),
            GOAL_STATE: [answers(200, goal_state("old")), answers(200, goal_state("new"))],
            ARTIFACT: [stale, answers(200, b"text"), stale, answers(200, b"package")],
        },
    )
    one.session.channels.fetch_text([MIRROR], "m")
    assert one.asked(GOAL_STATE) == 1
    one.session.channels.fetch_package([PACKAGE], tmp_path / "p.zip", lambda _: None)
    assert one.asked(GOAL_STATE) == 2
    assert one.headers(ARTIFACT)["x-ms-containerid"] == "new"


def test_no_more_than_some_mirrors_are_tried(tmp_path: Path) -> None:
    uris = [f"https://m{number}.example/m.xml" for number in range(1000)]
    one = world(tmp_path, {**{("GET", uri): answers(404) for uri in uris}, ARTIFACT: answers(404)})
    with pytest.raises(DownloadError):
        one.session.channels.fetch_text(uris, "m")
    assert sum(one.asked(("GET", uri)) for uri in uris) == MOST_URIS


def test_next_uri_is_tried_when_a_package_cannot_be_used(tmp_path: Path) -> None:
    uris = [PACKAGE, OTHER]
    one = world(tmp_path, {("GET", uri): answers(200, uri.encode()) for uri in uris})
    target = tmp_path / "p.zip"
    seen: list[bytes] = []

    def use(path: Path) -> None:
        seen.append(path.read_bytes())
        assert path.stat().st_mode & 0o777 == 0o600
        if len(seen) == 1:
            raise AgentError("cannot unpack it")

    one.session.channels.fetch_package(uris, target, use)
    assert sorted(seen) == sorted(uri.encode() for uri in uris)
    assert not target.exists()


def test_package_takes_the_place_of_what_lay_there_and_follows_no_link(tmp_path: Path) -> None:
    one = world(tmp_path, {("GET", PACKAGE): answers(200, b"package")})
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    target = tmp_path / "p.zip"
    target.symlink_to(victim)
    one.session.channels.fetch_package([PACKAGE], target, lambda _: None)
    assert victim.read_bytes() == b"precious"
    assert not target.is_symlink()


def test_no_uri_at_all_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="the goal state names no URI"):
        world(tmp_path, {}).session.channels.fetch_text([], "a manifest")


def test_trying_all_uris_ends_after_five_minutes(tmp_path: Path) -> None:
    uris = [f"https://one.example/{number}" for number in range(20)]
    script: Script = {("GET", uri): no_answer(uri) for uri in uris}
    one = world(tmp_path, {**script, ARTIFACT: no_answer(ARTIFACT[1])})
    with pytest.raises(DownloadError, match="Timeout downloading a manifest"):
        one.session.channels.fetch_text(uris, "a manifest")
    assert sum(one.clock.waits) < 300 + 62


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file can grow beyond this size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_disk_that_does_not_take_a_package_is_no_fault_of_the_network(tmp_path: Path) -> None:
    one = world(tmp_path, {("GET", PACKAGE): answers(200, b"x" * 200_000)})
    target = tmp_path / "p.zip"
    with disk_of(100_000), pytest.raises(OSError, match="File too large"):
        one.session.channels.fetch_package([PACKAGE, PACKAGE], target, lambda _: None)
    assert one.asked(("GET", PACKAGE)) == 1
    assert one.clock.waits == []
    assert changes(one) == []
    assert not target.exists()


def test_status_is_not_uploaded_when_the_host_says_that_we_moved(tmp_path: Path) -> None:
    one = world(tmp_path, {STATUS: answers(410)})
    assert one.session.uploader.put(StatusBlob(BLOB), b"{}") is False
    assert one.asked(GOAL_STATE) == 2
    assert one.asked(("PUT", BLOB)) == 0


def test_status_that_nobody_takes_is_an_error_without_the_token(tmp_path: Path) -> None:
    one = world(tmp_path, {STATUS: answers(404), ("PUT", BLOB): answers(200)})
    with pytest.raises(ProtocolFault, match="via either channel") as caught:
        one.session.uploader.put(StatusBlob(BLOB), b"{}")
    assert "secret" not in str(caught.value)
    assert one.asked(("PUT", BLOB)) == 1, "200 is no created blob, and nothing to repeat"


def test_page_blob_is_not_filled_when_it_cannot_be_created(tmp_path: Path) -> None:
    one = world(tmp_path, {STATUS: answers(404), ("PUT", BLOB): answers(409)})
    with pytest.raises(ProtocolFault):
        one.session.uploader.put(StatusBlob(BLOB, "PageBlob"), b"{}")
    assert one.asked(STATUS) == 1
    assert one.asked(("PUT", BLOB)) == 1


def test_unhealthy_host_is_reported_after_five_minutes(tmp_path: Path) -> None:
    one = world(tmp_path, {STATUS: answers(505, b"no"), ("PUT", BLOB): answers(201)})
    for _ in range(6):
        one.session.uploader.put(StatusBlob(BLOB), b"{}")
        one.clock.advance(60)
    told = [healthy for healthy, _ in one.observations("GuestAgentPluginStatus")]
    assert told == [True] * 5 + [False]


def test_error_of_a_download_is_an_http_error() -> None:
    assert issubclass(DownloadError, HttpError), "who downloads catches those"
