"""``on_delete: mirror``: what vanishes at the source vanishes on the target, if this app put it there."""

import threading
from collections.abc import Callable

from emulators.acr import AcrEmulator
from emulators.registry.images import build_cosign_signature, build_image, build_index, cosign_tag
from shared.jobs.mirroring import Mirror
from shared.jobs.reconciling import start_reconciliation
from shared.jobs.status import run_summary
from shared.oci.names import parse_digest
from shared.replication.drift import TagDrift
from tests.replication.desk import Desk


def reconcile(desk: Desk) -> dict[str, int]:
    """Reconcile, and return what was counted."""
    desk.world.clock.pass_by(minutes=1)
    run = start_reconciliation(desk.services, now=desk.world.clock())
    desk.work()
    counts: dict[str, int] = desk.report(run.name)["counts"]
    return counts


def replicated(desk: Desk, *tags: str) -> dict[str, str]:
    digests = {tag: desk.push(build_image(), tag) for tag in tags}
    desk.work()
    assert desk.on_hub() == digests
    return digests


def test_a_tag_that_is_gone_at_the_source_goes_on_the_target_after_a_delete_event(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    digests = replicated(desk, "v1", "v2")
    desk.world.acr.state.delete_manifest(desk.world.repository, digests["v1"])
    for _ in range(3):
        desk.event("delete", digest=digests["v1"])
    assert desk.services.cleanup_queue.length() == 1
    assert 0 < desk.delays[-1] <= 300
    desk.work()
    assert desk.on_hub() == {"v2": digests["v2"]}


def test_an_untag_raises_no_event_and_is_found_by_reconciliation(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    replicated(desk, "v1")
    desk.untag("v1")
    run = start_reconciliation(desk.services, now=desk.world.clock())
    desk.work()
    assert desk.on_hub() == {}
    summary = run_summary(desk.services, run.name)
    assert summary is not None
    assert (summary["state"], summary["drift"]["removed"]) == ("finished", 1)
    assert desk.services.ledger.find(desk.target("v1")) is None


def test_by_default_nothing_goes(desk: Desk) -> None:
    desk.route()
    digests = replicated(desk, "v1")
    desk.untag("v1")
    desk.event("delete", digest=digests["v1"])
    assert desk.services.cleanup_queue.length() == 0
    counts = reconcile(desk)
    assert desk.on_hub() == digests
    assert counts["orphaned"] == 1
    assert "removed" not in counts


def test_without_the_word_to_delete_it_is_only_said_what_would_go(desk: Desk) -> None:
    desk.restart(CLEANUP_MODE="plan")
    desk.route(on_delete="mirror")
    digests = replicated(desk, "v1")
    desk.untag("v1")
    assert reconcile(desk)["would_remove"] == 1
    assert desk.on_hub() == digests


def test_what_somebody_else_put_there_stays(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    replicated(desk, "v1")
    theirs = desk.put_on_hub(build_image(), "v9")
    desk.untag("v1")
    counts = reconcile(desk)
    assert desk.on_hub() == {"v9": theirs}
    assert (counts["foreign"], counts["removed"]) == (1, 1)


def test_what_somebody_else_overwrote_stays(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    replicated(desk, "v1")
    desk.untag("v1")
    theirs = desk.put_on_hub(build_image(), "v1")
    counts = reconcile(desk)
    assert desk.on_hub() == {"v1": theirs}
    assert counts["overwritten"] == 1
    assert "removed" not in counts


def test_a_tag_that_another_repository_put_there_is_not_ours_to_remove(desk: Desk) -> None:
    word, hub = desk.world.word, desk.world.hub.namespace
    desk.route(
        f"name: a, from: {{repositories: [{word}/a], tags: ['a*']}}, to: docker.io/{hub}/{word}, "
        "on_delete: mirror",
        f"name: b, from: {{repositories: [{word}/b], tags: ['b*']}}, to: docker.io/{hub}/{word}, "
        "on_delete: mirror",
    )
    first = desk.push(build_image(), "a1", at=f"{word}/a")
    desk.push(build_image(), "b1", at=f"{word}/b")
    desk.work()
    desk.untag("b1", at=f"{word}/b")
    start_reconciliation(desk.services, now=desk.world.clock())
    desk.work()
    assert desk.on_hub(f"{hub}/{word}") == {"a1": first}


def test_what_the_policy_does_not_route_any_more_stays(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    digests = replicated(desk, "v1", "latest")
    word, hub = desk.world.word, desk.world.hub.namespace
    desk.route(
        f"name: hub, from: {{repositories: ['{word}/**'], tags: [latest]}}, "
        f"to: 'docker.io/{hub}/{{flattened}}', on_delete: mirror"
    )
    assert reconcile(desk)["unrouted"] == 1
    assert desk.on_hub() == digests


def test_a_repository_that_is_gone_altogether_is_found_by_the_ledger(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    replicated(desk, "v1", "v2")
    desk.world.acr.state.delete_repository(desk.world.repository)
    assert reconcile(desk)["removed"] == 2
    assert desk.on_hub() == {}


def test_more_than_the_limit_of_the_policy_does_not_go(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    digests = replicated(desk, "v1", "v2", "v3")
    policy = desk.world.folder / "policy.yaml"
    policy.write_text(policy.read_text().replace("grace: 24h", "limits: {repository: {deletions: 1}}"))
    desk.untag("v1")
    desk.untag("v2")
    assert reconcile(desk)["refused"] == 2
    assert desk.on_hub() == digests


def test_signatures_that_came_along_go_when_they_vanish_at_the_source(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    image = build_image()
    signature = cosign_tag(image.digest)
    desk.world.push(build_cosign_signature(image), tag=signature)
    desk.push(image, "v1")
    desk.work()
    assert set(desk.on_hub()) == {"v1", signature}
    desk.untag("v1")
    reconcile(desk)
    assert set(desk.on_hub()) == {signature}
    desk.untag(signature)
    reconcile(desk)
    assert desk.on_hub() == {}


def orphan(desk: Desk, tag: str, digest: str) -> TagDrift:
    return TagDrift(
        state="orphaned",
        target=desk.target(tag),
        source=desk.source(tag),
        route="hub",
        wanted=parse_digest(digest),
        mirror=True,
    )


def mirror(desk: Desk) -> Mirror:
    return Mirror(desk.services, desk.world.registry, desk.world.clock())


def test_a_delete_of_a_tag_that_was_pushed_again_since_removes_nothing(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    digests = replicated(desk, "v1")
    outcome = mirror(desk).remove(orphan(desk, "v1", digests["v1"]))
    assert outcome.result == "came_back"
    assert desk.on_hub() == digests


def test_a_push_at_the_very_moment_of_the_removal_is_copied_again(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    digests = replicated(desk, "v1")
    desk.untag("v1")
    again = build_image()
    desk.world.hub.api_faults.inject(method="DELETE", delay=0.3)
    remove = _and_meanwhile(
        lambda: mirror(desk).remove(orphan(desk, "v1", digests["v1"])),
        lambda: desk.world.push(again, tag="v1"),
    )
    assert remove().result == "came_back"
    assert desk.on_hub() == {}
    desk.work()
    assert desk.on_hub() == {"v1": again.digest}


def _and_meanwhile[Result](act: Callable[[], Result], other: Callable[[], object]) -> Callable[[], Result]:
    def both() -> Result:
        timer = threading.Timer(0.15, other)
        timer.start()
        try:
            return act()
        finally:
            timer.join()

    return both


def test_a_token_that_may_not_delete_is_said_so_and_stops_nothing(desk: Desk) -> None:
    desk.route(on_delete="mirror")
    digests = replicated(desk, "v1")
    desk.untag("v1")
    desk.world.hub.api_faults.inject(
        method="DELETE", status=403, body='{"message": "access denied: insufficient scope"}'
    )
    run = start_reconciliation(desk.services, now=desk.world.clock())
    desk.work()
    (outcome,) = desk.report(run.name)["mirrored"]
    assert outcome["result"] == "failed"
    assert "insufficient scope" in outcome["detail"]
    assert desk.on_hub() == digests


def test_elsewhere_a_manifest_goes_only_when_nothing_with_a_name_needs_it(
    desk: Desk, elsewhere: AcrEmulator
) -> None:
    """The app knows this registry as any OCI registry, which need not have a way to remove a tag alone."""
    desk.route(
        f"name: other, from: {{repositories: ['{desk.world.word}/*'], tags: ['*']}}, "
        f"to: '{elsewhere.login_server}/{{repository}}', on_delete: mirror"
    )
    child, twin = build_image(), build_image()
    desk.push(build_index([child]), "index")
    for artifact, tag in ((child, "child"), (twin, "a"), (twin, "b"), (build_image(), "alone")):
        desk.push(artifact, tag)
    assert {outcome.result for outcome in desk.work()} == {"copied"}
    for tag in ("child", "a", "alone"):
        desk.untag(tag)
    run = start_reconciliation(desk.services, now=desk.world.clock())
    desk.work()
    copies = elsewhere.state.repository(desk.world.repository)
    assert copies is not None
    assert {tag.name for tag in copies.tags.page()} == {"index", "child", "a", "b"}
    outcomes = {each["target"].rpartition(":")[2]: each for each in desk.report(run.name)["mirrored"]}
    assert {tag: each["result"] for tag, each in outcomes.items()} == {
        "alone": "removed",
        "child": "locked",
        "a": "locked",
    }
    assert "the tag index needs the same manifest" in outcomes["child"]["detail"]
    assert "the tag b needs the same manifest" in outcomes["a"]["detail"]


def test_another_azure_registry_of_ours_loses_the_name_only(desk: Desk, elsewhere: AcrEmulator) -> None:
    servers = f"{desk.world.acr.login_server},{elsewhere.login_server}"
    desk.restart(ACR_LOGIN_SERVERS=servers)
    desk.route(
        f"name: other, from: {{registries: ['{desk.world.acr.login_server}'], repositories: "
        f"['{desk.world.word}/*'], tags: ['*']}}, to: '{elsewhere.login_server}/{{repository}}', "
        "on_delete: mirror"
    )
    image = build_image()
    desk.push(image, "a")
    desk.push(image, "b")
    desk.work()
    desk.untag("a")
    start_reconciliation(desk.services, now=desk.world.clock())
    desk.work()
    copies = elsewhere.state.repository(desk.world.repository)
    assert copies is not None
    assert [tag.name for tag in copies.tags.page()] == ["b"]
