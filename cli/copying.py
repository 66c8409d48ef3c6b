"""Copying from any registry to any other: one image, or every tag of many repositories."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import Any, Final

from cli.applying import Stop
from cli.blobbars import Moved, WatchedSource, WatchedTarget
from cli.exits import DONE, FAILED, INTERRUPTED, Failure
from cli.listing import repositories_below
from cli.output import Output
from cli.places import parse_item, parse_place, parse_registry
from cli.progress import Progress
from cli.registries import Registries
from cli.remedies import remedy
from cli.sentences import in_words
from cli.words import count, size
from shared.errors import CopyFailed, NotFound, RateLimited, RegistryError, StewardError
from shared.oci.names import (
    DOCKER_HUB,
    Digest,
    LoginServer,
    Reference,
    RepositoryName,
    TagName,
    parse_repository,
)
from shared.registry.copy import CopyReport, copy_graph

_AT_ONCE: Final = 12
"""Tags on their way together."""
_THREADS: Final = 8
"""The most threads that one tag gets."""
CONNECTIONS: Final = 24
"""How many of its contents are asked for or moved at a time, shared out among the tags."""
_LONGEST_WAIT: Final = 900.0
_COUNTS: Final = (
    "blobs_copied",
    "blobs_mounted",
    "blobs_skipped",
    "manifests_copied",
    "referrers",
    "bytes_copied",
    "seconds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What became of one copy."""

    source: Reference
    target: Reference
    report: CopyReport | None = None
    error: StewardError | None = None

    @property
    def result(self) -> str:
        """Return it in a word."""
        if self.report is None:
            return "failed"
        if self.report.superseded:
            return "stopped"
        return "up_to_date" if self.report.up_to_date else "copied"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        counts = {} if self.report is None else asdict(self.report)
        return {
            "source": str(self.source),
            "target": str(self.target),
            "result": self.result,
            "digest": counts.get("digest"),
            **{name: counts.get(name, 0) for name in _COUNTS},
            "detail": "" if self.error is None else str(self.error),
        }


class Copier:
    """Copies one reference at a time, from several threads; remembers what the targets hold."""

    def __init__(
        self, output: Output, sources: Registries, targets: Registries, *, referrers: bool, public: bool
    ) -> None:
        self.output = output
        self.sources = sources
        self.targets = targets
        self.stop = Stop()
        self.moved = Moved()
        self._referrers = referrers
        self._public = public
        self._lock = Lock()
        self._held: dict[tuple[LoginServer, RepositoryName], set[Digest]] = {}
        self.tags: dict[tuple[LoginServer, RepositoryName], frozenset[TagName]] = {}
        self.target_tags: dict[tuple[LoginServer, RepositoryName], frozenset[TagName]] = {}
        self._made: set[RepositoryName] = set()

    def copy(self, source: Reference, target: Reference, progress: Progress, *, threads: int) -> Copied:
        """Copy one reference; what asks to wait a while is waited for."""
        while True:
            found = self._copy(source, target, progress, threads=threads)
            wait = _wait(found.error)
            if wait is None or self.stop.asked:
                return found
            self.output.note(f"{found.error}; going on in {wait:.0f} s")
            self.stop.wait(wait)
            if self.stop.asked:
                return found

    def _copy(self, source: Reference, target: Reference, progress: Progress, *, threads: int) -> Copied:
        try:
            self._ensure(target)
            read = self.sources.client(source.registry).repository(source.repository)
            write = self.targets.client(target.registry).repository(target.repository)
            wanted = source.digest or source.tag
            assert wanted is not None  # noqa: S101 - checked where references are parsed
            report = copy_graph(
                WatchedSource(
                    read, progress, self.moved, self.tags.get((source.registry, source.repository))
                ),
                WatchedTarget(
                    write, self._held_by(target), self.target_tags.get((target.registry, target.repository))
                ),
                wanted,
                tag=target.tag,
                referrers=self._referrers,
                threads=threads,
                siblings=lambda digest: self._sibling(target, digest),
                superseded=lambda: self.stop.asked,
            )
        except StewardError as error:
            return Copied(source=source, target=target, error=error)
        return Copied(source=source, target=target, report=report)

    def _held_by(self, target: Reference) -> set[Digest]:
        with self._lock:
            return self._held.setdefault((target.registry, target.repository), set())

    def _sibling(self, target: Reference, digest: Digest) -> RepositoryName | None:
        """Return another repository of the target's registry that holds the blob, to mount it from."""
        with self._lock:
            return next(
                (
                    repository
                    for (registry, repository), held in self._held.items()
                    if registry == target.registry and repository != target.repository and digest in held
                ),
                None,
            )

    def _ensure(self, target: Reference) -> None:
        """Make a missing Docker Hub repository: a push would make it with the account's default, public."""
        if target.registry != DOCKER_HUB:
            return
        with self._lock:
            if target.repository in self._made:
                return
            hub = self.targets.hub()
            if hub.find_repository(target.repository) is None:
                hub.create_repository(target.repository, private=not self._public)
            self._made.add(target.repository)


def copy_one(copier: Copier, source_text: str, target_text: str) -> int:
    """Copy one image and print what became of it."""
    try:
        source = parse_item(source_text)
    except Failure as failure:
        raise Failure(failure.message, hint=f"{failure.hint}; or add --recursive") from None
    target = parse_place(target_text)
    if target.digest is not None:
        raise Failure(f"{target_text}: a target has a tag or none, and its digest is the source's")
    if target.tag is None and source.digest is None:
        target = replace(target, tag=source.tag)
    output = copier.output
    with output.progress() as progress, copier.stop.listening(output):
        found = copier.copy(source, target, progress, threads=_THREADS)
    if output.json:
        output.document({"copies": [found.to_json()]})
    elif found.report is not None and not copier.stop.asked:
        output.say(_sentence(found, found.report), fg="green")
    return _end(copier, [found])


def copy_all(copier: Copier, source_text: str, target_text: str) -> int:
    """Copy every tag of the repositories at and below the source."""
    output = copier.output
    pairs = list(_pairs(copier, source_text, target_text))
    with output.progress() as progress, copier.stop.listening(output):
        bar = progress.bar("tags", len(pairs))
        threads = min(_THREADS, CONNECTIONS // min(_AT_ONCE, len(pairs)))

        def copy(pair: tuple[Reference, Reference]) -> Copied | None:
            if copier.stop.asked:
                return None
            found = copier.copy(*pair, progress, threads=threads)
            bar.advance()
            return found

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="tags") as pool:
            found = [each for each in pool.map(copy, pairs) if each is not None]
    if output.json:
        output.document({"copies": [each.to_json() for each in found]})
    else:
        if output.verbose:
            for each in found:
                output.say(f"{each.result.replace('_', ' ')}  {each.target}")
        copied = sum(each.result == "copied" for each in found)
        there = sum(each.result == "up_to_date" for each in found)
        output.say(
            f"{count(copied, 'tag')} copied, {size(copier.moved.bytes)}; {there:,} there before", fg="green"
        )
    return _end(copier, found, planned=len(pairs))


def _pairs(copier: Copier, source_text: str, target_text: str) -> Iterable[tuple[Reference, Reference]]:
    """Yield what is copied where: images before what is bound to them by its tag's name."""
    source, path = parse_registry(source_text)
    target, base = parse_registry(target_text)
    later: list[tuple[Reference, Reference]] = []
    found = False
    for name in repositories_below(copier.output, copier.sources, source, path):
        rest = name if not path else name.removeprefix(path).removeprefix("/")
        goal = parse_repository("/".join(part for part in (base, rest) if part) or name)
        if target == DOCKER_HUB and goal.count("/") != 1:
            raise Failure(
                f"docker.io/{goal}: Docker Hub's names are namespace/name", hint="copy path by path"
            )
        tags = list(copier.sources.client(source).repository(name).list_tags())
        copier.tags[source, name] = frozenset(tags)
        if len(tags) > 1:
            with suppress(RegistryError):  # some registries deny that there is what is not there yet
                present = copier.targets.client(target).repository(goal).list_tags()
                copier.target_tags[target, goal] = frozenset(present)
        for tag in tags:
            found = True
            pair = (
                Reference(registry=source, repository=name, tag=tag),
                Reference(registry=target, repository=goal, tag=tag),
            )
            if tag.startswith("sha256-"):
                later.append(pair)
            else:
                yield pair
    yield from later
    if not found:
        raise NotFound(f"{source_text} has no tags", registry=source)


def _wait(error: StewardError | None) -> float | None:
    """Return how many seconds a registry asks to wait, ``None`` when it does not, or for too long."""
    cause = error.cause if isinstance(error, CopyFailed) else error
    if isinstance(cause, RateLimited) and cause.retry_after and cause.retry_after <= _LONGEST_WAIT:
        return cause.retry_after
    return None


def _sentence(found: Copied, report: CopyReport) -> str:
    if report.up_to_date:
        return f"{found.target} is up to date: {report.digest}"
    moved = f"{count(report.blobs_copied, 'blob')} and {count(report.manifests_copied, 'manifest')}"
    spared = report.blobs_skipped + report.blobs_mounted
    there = f", {count(spared, 'blob')} there before" if spared else ""
    return f"copied {found.target}: {moved}, {size(report.bytes_copied)} in {report.seconds:.1f} s{there}"


def _end(copier: Copier, found: Sequence[Copied], *, planned: int = 1) -> int:
    """Say what failed, and return the exit code."""
    said = ""
    for each in found:
        if each.error is None:
            continue
        hint = remedy(each.error)
        text = in_words(each.error)
        copier.output.fail(
            text if isinstance(each.error, CopyFailed) else f"{each.source} to {each.target}: {text}",
            "" if hint == said else hint,
        )
        said = hint
    if copier.stop.asked:
        done = sum(each.result in {"copied", "up_to_date"} for each in found)
        copier.output.fail(
            f"stopped: {planned - done} of {count(planned, 'tag')} not copied", "run it again to go on"
        )
        return INTERRUPTED
    return FAILED if any(each.error is not None for each in found) else DONE
