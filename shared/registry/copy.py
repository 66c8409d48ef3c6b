"""Copying an image, an index or any other artifact from one place to another.

A tag at the target is the last thing that is written: until then the target is as it was, and whatever was
copied is found again by the next attempt. Bytes that the target has are not moved.
"""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from shared.errors import CopyFailed, NotFound, RegistryUnavailable
from shared.oci.manifest import Descriptor
from shared.oci.names import Digest, RepositoryName, TagName
from shared.registry.content import ContentSource, ContentTarget
from shared.registry.copy_plan import Graph
from shared.registry.copy_report import CopyReport
from shared.registry.copy_transfer import Overtaken, Siblings, Transfer, blamed_on

__all__ = ["CopyReport", "copy_graph"]

THREADS: Final = 8
_COSIGN_SUFFIXES: Final = ("sig", "att", "sbom")
_COSIGN_TAG: Final = re.compile(r"sha256-[a-f0-9]{64}(\.(sig|att|sbom))?")
_FOLLOWING_DEPTH: Final = 3
_FIRST_LOOK: Final = 0.05
_LONGEST_LOOK: Final = 2.0


def _no_sibling(_: Digest) -> RepositoryName | None:
    return None


def _never() -> bool:
    return False


def copy_graph(
    source: ContentSource,
    target: ContentTarget,
    root: TagName | Digest | Descriptor,
    *,
    tag: TagName | None = None,
    referrers: bool = True,
    refresh_referrers: bool = False,
    threads: int = THREADS,
    siblings: Siblings = _no_sibling,
    superseded: Callable[[], bool] = _never,
    patience: float = 30.0,
) -> CopyReport:
    """Copy the root and all that it needs, whole, and say what was done.

    Without a ``tag`` the root is only stored by its digest. Equal digests on both sides end the copy after
    two requests. Signatures and other ``referrers`` follow, by subject and by cosign's tag names; with
    ``refresh_referrers`` they are looked for even if the target has the root already. ``siblings`` names
    a repository of the target that is known to hold a blob, to mount it from. ``superseded`` is asked
    between steps: once it says so, the copy ends without touching the tag. ``patience`` is how many seconds
    the target gets to show the tag.

    :raises CopyFailed: saying which side failed; as temporary as its cause.
    """
    started = time.monotonic()
    wanted = _resolve(source, root)
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="copy")
    transfer = Transfer(source, target, pool=pool, siblings=siblings, superseded=superseded)
    up_to_date = overtaken = False
    try:
        reference: TagName | Digest = wanted.digest if tag is None else tag
        present = transfer.at_target(reference)
        up_to_date = present is not None and present.digest == wanted.digest
        if not up_to_date or (referrers and refresh_referrers):
            _Copy(transfer, follow=referrers, patience=patience).run(wanted, tag, rooted=up_to_date)
    except Overtaken:
        overtaken = True
    finally:
        transfer.stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
    return CopyReport(
        digest=wanted.digest,
        tag=tag,
        up_to_date=up_to_date,
        superseded=overtaken,
        healed=transfer.healed,
        seconds=time.monotonic() - started,
        **transfer.tally.counts(),
    )


def _resolve(source: ContentSource, root: TagName | Digest | Descriptor) -> Descriptor:
    if isinstance(root, Descriptor):
        return root
    what = f"{source.place}{'@' if ':' in root else ':'}{root}"
    with blamed_on("source", what):
        found = source.resolve(root)
        if found is None:
            raise NotFound(f"{what} does not exist", registry=source.place)
        return found


class _Follower(NamedTuple):
    """A manifest that belongs to another one: by its subject, or by its tag."""

    descriptor: Descriptor
    tag: TagName | None


class _Copy:
    """One copy, root and followers."""

    def __init__(self, transfer: Transfer, *, follow: bool, patience: float) -> None:
        self._transfer = transfer
        self._follow = follow
        self._patience = patience

    def run(self, root: Descriptor, tag: TagName | None, *, rooted: bool) -> None:
        """Copy what the root needs, then its followers, then the root under its tag."""
        transfer = self._transfer
        graph = transfer.discover(root)
        followers = list(self._followers(graph, tag)) if self._follow else []
        # A registry may refuse a referrer whose subject it does not have (docker/hub-feedback #2307), and who
        # pulls by tag shall find the signatures: so the root goes in by digest, and its tag after them.
        transfer.move(graph, root_too=not rooted and (tag is None or bool(followers)))
        seen = set(graph.manifests)
        for follower in followers:
            self._copy_follower(follower, seen, depth=1)
        if tag is not None and not rooted:
            transfer.push(graph, graph.root, tag=tag)
        if not rooted:
            self._await(tag or root.digest, root.digest)

    def _copy_follower(self, follower: _Follower, seen: set[Digest], *, depth: int) -> None:
        """Copy a follower and its own followers; it is pushed even if it is there, so that it is listed."""
        transfer = self._transfer
        if follower.descriptor.digest in seen:
            return
        seen.add(follower.descriptor.digest)
        graph = transfer.discover(follower.descriptor)
        transfer.move(graph, root_too=False)
        transfer.push(graph, graph.root, tag=follower.tag)
        transfer.tally.add("referrers")
        if depth < _FOLLOWING_DEPTH:
            for next_follower in self._followers(graph, follower.tag):
                self._copy_follower(next_follower, seen, depth=depth + 1)

    def _followers(self, graph: Graph, tag: TagName | None) -> Iterator[_Follower]:
        """Yield what belongs to any manifest of the graph; nothing is looked up for cosign's own tags."""
        transfer = self._transfer
        subjects = graph.manifests
        for listed in transfer.pool.map(self._referrers, subjects):
            yield from listed
        if tag is not None and _COSIGN_TAG.fullmatch(tag):
            return
        names = [
            TagName(f"{subject.replace(':', '-')}.{suffix}")
            for subject in subjects
            if subject.startswith("sha256:")
            for suffix in _COSIGN_SUFFIXES
        ]
        for name, found in zip(names, transfer.pool.map(self._at_source, names), strict=True):
            if found is not None:
                yield _Follower(found, name)

    def _referrers(self, subject: Digest) -> list[_Follower]:
        source = self._transfer.source
        with blamed_on("source", f"{source.place}@{subject}"):
            return [_Follower(each, None) for each in source.referrers(subject)]

    def _at_source(self, tag: TagName) -> Descriptor | None:
        source = self._transfer.source
        with blamed_on("source", f"{source.place}:{tag}"):
            return source.resolve(tag)

    def _await(self, reference: TagName | Digest, digest: Digest) -> None:
        """Read back what was written, by HEAD, as long as the target may take to show it.

        Docker Hub shows a tag some seconds after it took it (docker/hub-feedback #2354).
        """
        deadline = time.monotonic() + self._patience
        pause = _FIRST_LOOK
        while True:
            found = self._transfer.at_target(reference)
            if found is not None and found.digest == digest:
                return
            if time.monotonic() + pause > deadline:
                break
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_LOOK)
        place = self._transfer.target.place
        shows = "nothing" if found is None else found.digest
        raise CopyFailed(
            f"{place} {reference}",
            origin="target",
            cause=RegistryUnavailable(
                f"after {self._patience:g} s it shows {shows}, not {digest}", registry=place
            ),
        )
