"""Plans of one registry's repositories, made at once or not at all for each of them."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cli.exits import DONE, FAILED, REFUSED, Failure
from cli.output import Output
from cli.registries import Registries
from shared.errors import RegistryError, StewardError
from shared.oci.names import LoginServer, RepositoryName, parse_repository
from shared.policy import Policy, parse_policy
from shared.registry.acr import AcrClient
from shared.retention.limits import check_run_limits
from shared.retention.plan import RepositoryPlan, check_limits, plan_repository, rules_without_match
from shared.retention.rules import RetentionPolicy
from shared.selection import Glob, parse_glob

_AT_ONCE: Final = 4
_WILD: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What became of planning: a plan, or the reason why there is none, for each repository."""

    registry: LoginServer
    at: datetime
    policy: Policy
    plans: tuple[RepositoryPlan, ...]
    failures: tuple[tuple[str, StewardError], ...]

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
    output: Output,
) -> Planned:
    """Plan the repositories that are wanted, by name or glob, or else all that a rule names.

    :raises Failure: when a name is none, or the registry is of a kind that cannot be planned for.
    """
    exact, globs = _wanted(registry, wanted)
    plans: list[RepositoryPlan] = []
    failures: list[tuple[str, StewardError]] = []
    with output.progress() as progress:
        try:
            acr = registries.acr(registry, purpose="be planned for")
            names = list(_names(acr, policy.retention, exact, globs))
        except RegistryError as error:
            failures.append((str(registry), error))
        else:
            bar = progress.bar("planning", len(names))
            for name, found in _plan_all(acr, names, policy.retention, at):
                if isinstance(found, RepositoryPlan):
                    plans.append(found)
                else:
                    failures.append((f"{registry}/{name}", found))
                bar.advance()
    return Planned(
        registry=registry,
        at=at,
        policy=policy,
        plans=_limited(plans, policy.retention),
        failures=tuple(failures),
    )


def _plan_all(
    acr: AcrClient, names: Sequence[RepositoryName], policy: RetentionPolicy, at: datetime
) -> Iterator[tuple[RepositoryName, RepositoryPlan | StewardError]]:
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="plan")
    try:
        for name, future in [(name, pool.submit(_plan, acr, name, policy, at)) for name in names]:
            try:
                yield name, future.result()
            except StewardError as error:
                yield name, error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def rules_in_vain(planned: Planned) -> tuple[str, ...]:
    """Return the rules that found nothing in any plan."""
    return rules_without_match(planned.policy.retention, planned.plans)


def _plan(acr: AcrClient, name: RepositoryName, policy: RetentionPolicy, at: datetime) -> RepositoryPlan:
    return check_limits(plan_repository(acr.snapshot(name), policy, now=at), policy.limits)


def _limited(plans: Sequence[RepositoryPlan], policy: RetentionPolicy) -> tuple[RepositoryPlan, ...]:
    """Refuse every plan that removes something, when together they remove more than a run may."""
    refusal = check_run_limits([plan.counts for plan in plans], policy.limits.run)
    if refusal is None:
        return tuple(plans)
    return tuple(
        plan if plan.is_empty or plan.refused is not None else replace(plan, refused=refusal)
        for plan in plans
    )


def _wanted(registry: LoginServer, wanted: Sequence[str]) -> tuple[list[RepositoryName], list[Glob]]:
    exact: list[RepositoryName] = []
    globs: list[Glob] = []
    for text in wanted:
        name = text.removeprefix(f"{registry}/")
        if _WILD.isdisjoint(name):
            exact.append(parse_repository(name))
        else:
            globs.append(parse_glob(name, "repository"))
    return exact, globs


def _names(
    acr: AcrClient, policy: RetentionPolicy, exact: Sequence[RepositoryName], globs: Sequence[Glob]
) -> Iterable[RepositoryName]:
    """Yield each repository once: the named ones, and those of the catalog that are meant."""
    yield from dict.fromkeys(exact)
    if exact and not globs:
        return
    for name in acr.list_repositories():
        if name in exact:
            continue
        if any(glob.matches(name) for glob in globs) if globs else policy.covers(acr.login_server, name):
            yield name
