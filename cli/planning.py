"""Plans of one registry's repositories, made at once or not at all for each of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cli.cleanable import Cleanable, Times, cleanable, repository_names
from cli.exits import DONE, FAILED, REFUSED, Failure
from cli.output import Output
from cli.registries import Registries
from cli.threads import threads
from shared.errors import RegistryError, StewardError
from shared.oci.names import DOCKER_HUB, LoginServer, RepositoryName, parse_repository
from shared.policy import Policy, parse_policy
from shared.retention.caps import within_run
from shared.retention.limits import check_run_limits
from shared.retention.plan import RepositoryPlan, rules_without_match
from shared.retention.portion import postpone
from shared.retention.rules import RetentionPolicy
from shared.selection import Glob, parse_glob

_AT_ONCE: Final = 4
_WILD: Final = frozenset("*?[")

type Failures = tuple[tuple[str, StewardError], ...]
"""What could not be planned, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What became of planning: a plan, or the reason why there is none, for each repository.

    ``rules`` are those that the plans were made by, ``remarks`` the warnings that all plans share.
    """

    registry: LoginServer
    at: datetime
    policy: Policy
    rules: RetentionPolicy
    plans: tuple[RepositoryPlan, ...]
    failures: Failures
    remarks: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """Return 4 when the registry failed somewhere, else 3 when a limit refuses, else 0."""
        if self.failures:
            return FAILED
        return REFUSED if any(plan.refused for plan in self.plans) else DONE


def read_policy(path: Path) -> Policy:
    """Return the policy in the file.

    :raises InvalidPolicy: with every problem.
    """
    return parse_policy(path.read_bytes(), source=str(path))


def moment(text: str | None) -> datetime:
    """Return the ISO time, in UTC when it does not say; now when there is none.

    :raises Failure: when it is no time.
    """
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(f"--at: {text!r} is not an ISO time such as 2026-03-01T02:00:00Z") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def make_plans(
    registries: Registries,
    registry: LoginServer,
    policy: Policy,
    wanted: Sequence[str],
    *,
    at: datetime,
    times: Times,
    output: Output,
) -> Planned:
    """Plan the repositories that are wanted, by name or glob, or else all that a rule names.

    :raises Failure: when a name is none, or the registry is of a kind that cannot be planned for.
    """
    exact, globs = _wanted(registry, wanted)
    cleaned: Cleanable | None = None
    try:
        cleaned = cleanable(registries, registry, policy.retention, purpose="be planned for", times=times)
        names = list(_names(registries, cleaned, policy, exact, globs))
    except RegistryError as error:
        plans: tuple[RepositoryPlan, ...] = ()
        failures: Failures = ((str(registry), error),)
    else:
        plans, failures = plan_all(output, cleaned, names, at=at)
    return Planned(
        registry=registry,
        at=at,
        policy=policy,
        rules=policy.retention if cleaned is None else cleaned.policy,
        plans=_limited(plans, policy.retention),
        failures=failures,
        remarks=() if cleaned is None else cleaned.remarks,
    )


def plan_all(
    output: Output, cleaned: Cleanable, names: Sequence[RepositoryName], *, at: datetime
) -> tuple[tuple[RepositoryPlan, ...], Failures]:
    """Return a plan of each repository, and what went wrong where there is none."""
    plans: list[RepositoryPlan] = []
    failures: list[tuple[str, StewardError]] = []
    with output.progress() as progress:
        bar = progress.bar("planning", len(names))
        for name, found in _plan_each(cleaned, names, at=at):
            if isinstance(found, RepositoryPlan):
                plans.append(found)
            else:
                failures.append((f"{cleaned.login_server}/{name}", found))
            bar.advance()
    return tuple(plans), tuple(failures)


def _plan_each(
    cleaned: Cleanable, names: Sequence[RepositoryName], *, at: datetime
) -> Iterator[tuple[RepositoryName, RepositoryPlan | StewardError]]:
    with threads(_AT_ONCE) as pool:
        for name, future in [(name, pool.submit(cleaned.plan, name, at=at)) for name in names]:
            try:
                yield name, future.result()
            except StewardError as error:
                yield name, error


def rules_in_vain(planned: Planned) -> tuple[str, ...]:
    """Return the rules that found nothing in any plan."""
    return rules_without_match(planned.rules, planned.plans)


def _limited(plans: Sequence[RepositoryPlan], policy: RetentionPolicy) -> tuple[RepositoryPlan, ...]:
    """Refuse every plan when together they remove more than a run may; postpone those beyond its cap."""
    refusal = check_run_limits([plan.counts for plan in plans], policy.limits.run)
    if refusal is not None:
        return tuple(
            plan if plan.is_empty or plan.refused is not None else replace(plan, refused=refusal)
            for plan in plans
        )
    most = policy.at_most.run
    removals = {
        (plan.repository,): len(plan.untag) + len(plan.delete)
        for plan in plans
        if plan.refused is None and not plan.is_empty
    }
    chosen = within_run(removals, most)
    return tuple(
        plan
        if most is None or (plan.repository,) in chosen or (plan.repository,) not in removals
        else postpone(plan, most)
        for plan in plans
    )


def _wanted(registry: LoginServer, wanted: Sequence[str]) -> tuple[list[RepositoryName], list[Glob]]:
    exact: list[RepositoryName] = []
    globs: list[Glob] = []
    for text in wanted:
        name = text.removeprefix(f"{registry}/")
        if not _WILD.isdisjoint(name):
            globs.append(parse_glob(name, "repository"))
        elif registry == DOCKER_HUB and name.count("/") != 1:
            raise Failure(f"{text} is no repository of Docker Hub", hint="as in acme/app, or 'acme/*'")
        else:
            exact.append(parse_repository(name))
    return exact, globs


def _names(
    registries: Registries,
    cleaned: Cleanable,
    policy: Policy,
    exact: Sequence[RepositoryName],
    globs: Sequence[Glob],
) -> Iterator[RepositoryName]:
    """Yield each repository once: the named ones, and those of the catalog that are meant."""
    yield from dict.fromkeys(exact)
    if exact and not globs:
        return
    for name in repository_names(registries, cleaned.login_server, policy, globs):
        if name in exact:
            continue
        if any(glob.matches(name) for glob in globs) if globs else cleaned.covers(name):
            yield name
