"""Copying between two registry processes, beside what people use today: ``skopeo``."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from benchmarks.children import Worker, run
from benchmarks.docker_registries import DockerRegistry, missing_tools
from benchmarks.figures import Figure, Target
from benchmarks.layers import MIB, build_image, build_layer, build_platforms, build_sparse_image
from benchmarks.sampling import interleave

_REPOSITORY: Final = "team/app"
_PLATFORMS: Final = ("linux/amd64", "linux/arm64", "linux/s390x")
_TLS: Final = ("--src-tls-verify=false", "--dest-tls-verify=false")
_GIB: Final = 1024 * MIB


@dataclass(slots=True)
class _Contest:
    """Ours and skopeo copying the same tags, each into an empty registry of its own every time."""

    source: DockerRegistry
    tags: Sequence[str]
    command: Callable[[str, str], list[str]]
    again: bool = False
    """Whether to copy once more, and measure that instead."""
    peaks: list[float] = field(default_factory=list)
    reference_peaks: list[float] = field(default_factory=list)

    def ours(self) -> float:
        """Copy with ``steward copy`` in a process that is fresh and warm; return the seconds."""
        with DockerRegistry() as target, Worker("benchmarks.copier") as worker:
            places = [f"{registry.netloc}/{_REPOSITORY}" for registry in (self.source, target)]
            arguments = (
                [f"{place}:{self.tags[0]}" for place in places]
                if len(self.tags) == 1
                else ["--recursive", *places]
            )
            answers = [worker.ask(ask="copy", arguments=arguments) for _ in range(1 + self.again)]
            assert all(answer["code"] == 0 for answer in answers), answers
            self._check(target)
        self.peaks.append(answers[-1]["peak"])
        return float(answers[-1]["seconds"])

    def skopeo(self) -> float:
        """Copy with skopeo; return the seconds."""
        with DockerRegistry() as target:
            command = self.command(self.source.netloc, target.netloc)
            if self.again:
                run(command)
            finished = run(command)
            self._check(target)
        self.reference_peaks.append(finished.peak)
        return finished.seconds

    def _check(self, target: DockerRegistry) -> None:
        for tag in self.tags:
            wanted = self.source.digest(_REPOSITORY, tag)
            assert target.digest(_REPOSITORY, tag) == wanted, f"{tag} is not {wanted}"

    def figures(
        self, what: str, *, rounds: int, target: Target | None = None, memory: Target | None = None
    ) -> Iterator[Figure]:
        """Yield the times and the memory of so many rounds."""
        samples, beside = interleave(self.ours, self.skopeo, rounds=rounds, warm=False)
        yield Figure(
            what=what,
            ours=min(samples),
            reference=min(beside),
            target=target,
            samples=samples,
            reference_samples=beside,
        )
        yield Figure(
            what="  peak memory of the process",
            unit="MiB",
            ours=max(self.peaks),
            reference=max(self.reference_peaks),
            target=memory,
            samples=self.peaks,
            reference_samples=self.reference_peaks,
        )


def time_copy_of_one_image(*, quick: bool) -> Iterator[Figure]:
    """Copy one image of five layers, 262 MB together."""
    what = "copy one image of 262 MB / skopeo copy"
    if missing_tools():
        yield _skipped(what)
        return
    sizes = (16, 8) if quick else (120_000, 70_000, 40_000, 24_000, 8_000)
    with DockerRegistry() as source:
        image = build_image([build_layer(size * 1000, seed=number) for number, size in enumerate(sizes)])
        source.push(_REPOSITORY, image, tag="v1")
        contest = _Contest(source, ["v1"], _copying("v1"))
        yield from contest.figures(what, target=Target(bound=0.9), rounds=1 if quick else 5)


def time_copy_of_many_tags(*, quick: bool) -> Iterator[Figure]:
    """Copy a hundred tags that share their base layers, then again with nothing to do."""
    count = 3 if quick else 100
    what = f"copy {count} tags that share base layers / skopeo sync"
    again = f"copy {count} tags again, with nothing to do / skopeo sync"
    if missing_tools():
        yield _skipped(what)
        yield _skipped(again)
        return
    bases = [build_layer(size, seed=size) for size in ((1000,) if quick else (20 * MIB, 5 * MIB, MIB))]
    tags = [f"v{number}" for number in range(count)]
    with DockerRegistry() as source:
        for number, tag in enumerate(tags):
            source.push(_REPOSITORY, build_image([*bases, build_layer(100_000, seed=number)]), tag=tag)
        rounds = 1 if quick else 3
        yield from _Contest(source, tags, _syncing).figures(what, target=Target(bound=0.4), rounds=rounds)
        yield from _Contest(source, tags, _syncing, again=True).figures(
            again, target=Target(bound=0.15), rounds=rounds
        )


def time_copy_of_platforms(*, quick: bool) -> Iterator[Figure]:
    """Copy an index of three platforms that share a layer."""
    what = "copy three platforms that share a layer / skopeo copy --all"
    if missing_tools():
        yield _skipped(what)
        return
    size = 1000 if quick else 30 * MIB
    with DockerRegistry() as source:
        source.push(_REPOSITORY, build_platforms(_PLATFORMS, shared=size, own=size), tag="v1")
        contest = _Contest(source, ["v1"], _copying("v1", "--all"))
        yield from contest.figures(what, target=Target(bound=0.8), rounds=1 if quick else 5)


def time_copy_of_a_large_layer(*, quick: bool) -> Iterator[Figure]:
    """Copy a layer of 2 GiB."""
    what = "copy a layer of 2 GiB / skopeo copy"
    if missing_tools():
        yield _skipped(what)
        return
    image, layer = build_sparse_image(MIB if quick else 2 * _GIB)
    with ExitStack() as running:
        source = running.enter_context(DockerRegistry())
        source.plant_blob(_REPOSITORY, layer, MIB if quick else 2 * _GIB)
        source.push(_REPOSITORY, image, tag="v1")
        contest = _Contest(source, ["v1"], _copying("v1"))
        yield from contest.figures(what, rounds=1 if quick else 2, memory=Target(bound=150, of="ours"))


def _copying(tag: str, *options: str) -> Callable[[str, str], list[str]]:
    def command(source: str, target: str) -> list[str]:
        places = [f"docker://{registry}/{_REPOSITORY}:{tag}" for registry in (source, target)]
        return ["skopeo", "copy", "--quiet", "--preserve-digests", *options, *_TLS, *places]

    return command


def _syncing(source: str, target: str) -> list[str]:
    """Sync appends the last part of the repository's name to the destination."""
    parent = _REPOSITORY.rpartition("/")[0]
    return [
        *("skopeo", "sync", "--all", "--src", "docker", "--dest", "docker", *_TLS),
        f"{source}/{_REPOSITORY}",
        f"{target}/{parent}",
    ]


def _skipped(what: str) -> Figure:
    return Figure(what=what, is_skipped=True, note=f"{' and '.join(missing_tools())} missing")
