"""A first policy for a registry: what is in it, sorted into kinds, with a careful rule for each."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cli.cleanable import client_to_clean
from cli.exits import DONE, FAILED, Failure
from cli.listing import repositories_below
from cli.output import Output
from cli.places import parse_registry
from cli.registries import Registries
from cli.remedies import remedy
from cli.sentences import in_words
from cli.threads import threads
from cli.words import count, size
from shared.errors import StewardError
from shared.oci.names import DOCKER_HUB, LoginServer, RepositoryName
from shared.policy import parse_policy
from shared.retention.bound import bound_subject
from shared.retention.plan import RepositoryPlan, plan_repository
from shared.retention.snapshot import RepositorySnapshot

_MOVING: Final = ("latest", "main", "master", "stable", "edge", "nightly", "dev", "develop", "production")
_VERSION: Final = re.compile(r"v?\d+(\.\d+){0,3}([-+].*)?")
_COMMIT: Final = re.compile(r"[0-9a-f]{7,40}")
_NUMBERED: Final = re.compile(r"(?P<prefix>[A-Za-z][A-Za-z]*(?:[-_.][A-Za-z]+)*)[-_.](?P<rest>.*\d.*)")
_SOME: Final = 3
_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One proposed rule: its lines in the policy, and what is said above it."""

    name: str
    why: str
    lines: tuple[str, ...]


def propose(output: Output, registries: Registries, place: str, *, most: int) -> int:
    """Print a policy for what is there, each rule with its effect today; nothing is removed by it."""
    registry, path = parse_registry(place)
    client = client_to_clean(registries, registry, purpose="be looked at for a policy")
    names = list(repositories_below(output, registries, registry, path))
    if not names:
        raise Failure(f"{place} has no repositories to look at", code=FAILED)
    looked, failed = names[:most], False
    snapshots: list[RepositorySnapshot] = []
    with output.progress() as progress, threads(_AT_ONCE) as pool:
        bar = progress.bar("looking", len(looked))
        for name, future in [(name, pool.submit(client.snapshot, name)) for name in looked]:
            try:
                snapshots.append(future.result())
            except StewardError as error:
                failed = True
                output.fail(f"{registry}/{name}: {in_words(error)}", remedy(error))
            bar.advance()
    text, effects = _with_effects(snapshots, _where(registry, path, looked))
    if len(looked) < len(names):
        output.note(f"{len(looked)} of {count(len(names), 'repository', 'repositories')} looked at")
    if output.json:
        output.document({"registry": registry, "policy": text, "effects": effects})
    else:
        output.say(text.rstrip("\n"))
        output.note(f"steward plan --registry {registry} --policy FILE shows it item by item")
    return FAILED if failed else DONE


def _where(registry: LoginServer, path: str, names: Sequence[RepositoryName]) -> tuple[str, ...]:
    """Return the lines of a rule that say where it holds; on Docker Hub only rules that name it do."""
    itself = [f'"{path}"'] if path in names else []
    below = [f'"{path}/**"'] if path and any(name != path for name in names) else []
    globs = ", ".join([*itself, *below]) or '"**"'
    named = ("registries: [docker.io]",) if registry == DOCKER_HUB else ()
    return (*named, f"repositories: [{globs}]")


def _with_effects(
    snapshots: Sequence[RepositorySnapshot], where: Sequence[str]
) -> tuple[str, list[dict[str, Any]]]:
    """Return the document with the effect of each rule above it, and the effects as values."""
    tags = [tag.name for snapshot in snapshots for tag in snapshot.tags if bound_subject(tag.name) is None]
    rules = list(_rules(tags, where))
    draft = parse_policy(_document(rules, where, {})).retention
    now = datetime.now(UTC)
    plans = [plan_repository(snapshot, draft, now=now) for snapshot in snapshots]
    words: dict[str, str] = {}
    effects: list[dict[str, Any]] = []
    for rule in rules:
        untag, delete, freed = _effect(plans, rule.name)
        effects.append({"rule": rule.name, "untag": untag, "delete": delete, "bytes_at_most": freed})
        words[rule.name] = (
            f"today: {count(untag, 'tag')} and {count(delete, 'manifest')} would go, at most {size(freed)}"
        )
    return _document(rules, where, words), effects


def _effect(plans: Iterable[RepositoryPlan], rule: str) -> tuple[int, int, int]:
    untag = delete = freed = 0
    for plan in plans:
        untag += sum(each.rule == rule for each in plan.untag)
        removed = [each for each in plan.delete if each.rule == rule]
        delete += len(removed)
        freed += sum(each.size for each in removed)
    return untag, delete, freed


def _rules(tags: Sequence[str], where: Sequence[str]) -> Iterable[Rule]:
    prefixes: defaultdict[str, int] = defaultdict(int)
    kinds: Counter[str] = Counter()
    for tag in tags:
        if tag in _MOVING or _VERSION.fullmatch(tag):
            kinds["kept"] += 1
        elif _COMMIT.fullmatch(tag):
            kinds["commits"] += 1
        elif numbered := _NUMBERED.fullmatch(tag):
            prefixes[tag[: numbered.end("prefix") + 1]] += 1
    names = {"commits", "untagged"}
    for prefix, number in sorted(prefixes.items()):
        if number >= _SOME:
            name = prefix.strip("-_.")
            while name in names:
                name = f"{name}-too"
            names.add(name)
            yield Rule(
                name=name,
                why=f"{count(number, 'tag')} like {prefix}...",
                lines=(
                    *where,
                    f'tags: ["{prefix}*"]',
                    "older_than: 30d",
                    "keep_newest: 5",
                ),
            )
    if kinds["commits"] >= _SOME:
        yield Rule(
            name="commits",
            why=f"{count(kinds['commits'], 'tag')} that look like commits",
            lines=(
                *where,
                'tags_matching: ["[0-9a-f]{7,40}"]',
                "older_than: 30d",
                "keep_newest: 10",
            ),
        )
    yield Rule(
        name="untagged",
        why="manifests without a tag that nothing tagged holds",
        lines=(*where, "untagged: true", "older_than: 14d"),
    )


def _document(rules: Sequence[Rule], where: Sequence[str], effects: dict[str, str]) -> str:
    lines = [
        "# A first proposal: read it, change it, and try it with steward plan before anything is removed.",
        "version: 1",
        "retention:",
        "  grace: 24h",
        "  protect:",
        "    - name: releases",
        *(f"      {line}" for line in where),
        '      tags: ["v[0-9]*", "[0-9]*.[0-9]*"]',
        "    - name: moving",
        *(f"      {line}" for line in where),
        f"      tags: [{', '.join(_MOVING)}]",
        "  rules:",
    ]
    for rule in rules:
        lines.append(f"    # {rule.why}")
        if rule.name in effects:
            lines.append(f"    # {effects[rule.name]}")
        lines.append(f"    - name: {rule.name}")
        lines.extend(f"      {line}" for line in rule.lines)
    lines += [
        "  limits:",
        "    repository: {deletions: 500, percent: 50, combine: and}",
        "    run: {deletions: 5000, percent: 50, combine: and}",
    ]
    return "\n".join(lines) + "\n"
