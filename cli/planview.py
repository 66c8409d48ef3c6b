"""A plan as people read it: what goes, in order and with the reason; what stays, as far as they ask."""

from collections.abc import Collection, Iterable

from cli.columns import Cell, Column, paragraph
from cli.output import Output
from cli.planning import Planned, rules_in_vain
from cli.remedies import remedy
from cli.sentences import in_words
from cli.words import count, short, size
from shared.retention.plan import RepositoryPlan

_MANY = 5


def show_plans(output: Output, planned: Planned, *, complete: bool) -> None:
    """Print every plan and a summary; ``complete`` when all repositories of the registry were looked at."""
    for plan in planned.plans:
        if not plan.is_empty or plan.postponed or set(plan.warnings) - set(planned.remarks) or output.verbose:
            show_plan(output, plan, said=planned.remarks)
    for remark in planned.remarks:
        output.warn(remark)
    if planned.plans or not planned.failures:
        _summary(output, planned.plans)
    if complete and planned.plans:
        for rule in rules_in_vain(planned):
            output.note(f"rule {rule} matched nothing in any repository")


def show_failures(output: Output, planned: Planned) -> None:
    """Say which repositories could not be planned."""
    shown = planned.failures if output.verbose else planned.failures[:_MANY]
    said = ""
    for what, error in shown:
        hint = remedy(error)
        output.fail(f"{what} could not be planned: {in_words(error)}", "" if hint == said else hint)
        said = hint
    if len(shown) < len(planned.failures):
        output.fail(f"and {len(planned.failures) - len(shown)} more; -v lists them")


def show_plan(output: Output, plan: RepositoryPlan, *, said: Collection[str] = ()) -> None:
    """Print one repository's plan, without those warnings that are said elsewhere."""
    output.say(f"{plan.registry}/{plan.repository}", bold=True)
    table = paragraph(
        output,
        Column(title="verb"),
        Column(title="what", shrinks=True, least=19),
        Column(title="size", right=True),
        Column(title="reason", wraps=True),
    )
    words = short if output.terminal else str
    for untag in plan.untag:
        table.add(
            Cell("untag", {"fg": "yellow"}), words(untag.tag), "", words(f"{untag.rule}: {untag.reason}")
        )
    for deletion in plan.delete:
        table.add(
            Cell("delete", {"fg": "red"}),
            words(deletion.digest),
            size(deletion.size),
            words(f"{deletion.rule}: {deletion.reason}"),
        )
    if output.verbose:
        tags = [(str(verdict.tag), verdict.reason) for verdict in plan.tag_verdicts if verdict.keep]
        manifests = [(verdict.digest, verdict.reason) for verdict in plan.manifest_verdicts if verdict.keep]
        for name, reason in (*tags, *manifests):
            table.add(Cell("keep", {"fg": "green"}), words(name), "", words(str(reason)))
    table.flush()
    counts = plan.counts
    stay = (
        f"{count(counts['tags'] - counts['untag'], 'tag')} and "
        f"{count(counts['manifests'] - counts['delete'], 'manifest')} stay"
    )
    output.say(f"  {stay}{'' if output.verbose or plan.is_empty else ' (-v shows why)'}", dim=True)
    for warning in plan.warnings:
        if warning in said:
            continue
        output.say_folded(f"  warning: {words(warning)}", indent=4, fg="yellow")
    if plan.postponed is not None:
        output.say_folded(f"  postponed: {plan.postponed}", indent=4, fg="yellow")
    if plan.refused is not None:
        output.say_folded(f"  refused: {plan.refused}", indent=4, fg="red", bold=True)


def removals(plans: Iterable[RepositoryPlan]) -> str:
    """Read as ``3 tags and 5 manifests, at most 12.1 MB``."""
    plans = list(plans)
    tags = sum(len(plan.untag) for plan in plans)
    manifests = sum(len(plan.delete) for plan in plans)
    freed = sum(deletion.size for plan in plans for deletion in plan.delete)
    return f"{count(tags, 'tag')} and {count(manifests, 'manifest')}, at most {size(freed)}"


def _summary(output: Output, plans: tuple[RepositoryPlan, ...]) -> None:
    looked = count(len(plans), "repository", "repositories")
    allowed = [plan for plan in plans if plan.refused is None and not plan.is_empty]
    refused = [plan for plan in plans if plan.refused is not None]
    postponed = [plan.postponed for plan in plans if plan.postponed is not None]
    if not allowed and not refused and not postponed:
        output.say(f"{looked}: nothing to remove")
        return
    if allowed:
        output.say(f"{looked}: {removals(allowed)} would go")
    if refused:
        output.say(
            f"{removals(refused)} would go and are refused by limits: nothing is removed from "
            f"{count(len(refused), 'repository', 'repositories')}",
            fg="red",
        )
    if postponed:
        tags = count(sum(each.tags for each in postponed), "tag")
        manifests = count(sum(each.manifests for each in postponed), "manifest")
        output.say(f"{tags} and {manifests} wait for another run: caps of the policy", fg="yellow")
