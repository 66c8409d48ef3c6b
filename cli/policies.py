"""Policies without a registry: checked, and tried on repositories that a person describes."""

from pathlib import Path
from typing import Any, Final

from cli.exits import DONE, NO, USAGE
from cli.output import Output
from cli.policycases import read_cases, run_case
from cli.remedies import explain_error, say_problems
from cli.words import count
from shared.errors import InvalidPolicy
from shared.policy import Policy, parse_policy

_CASES: Final = "docs/policy-tests.md describes files of cases; steward policy check is for policies"


def check_policy(output: Output, file: Path) -> int:
    """Print what is wrong with the policy, or what it holds; return the exit code."""
    problems: InvalidPolicy | None = None
    policy: Policy | None = None
    try:
        policy = parse_policy(file.read_bytes(), source=str(file))
    except InvalidPolicy as error:
        problems = error
    if output.json:
        output.document(_document(file, policy, problems))
    elif problems is not None:
        explain_error(problems)
        output.note(f"{count(len(problems.problems), 'problem')} in {file}")
    elif policy is not None:
        rules = count(len(policy.retention.rule_names), "rule")
        protections = count(len(policy.retention.protections), "protection")
        routes = count(len(policy.replication.routes), "route")
        output.say(f"{file} is valid: {rules}, {protections}, {routes}", fg="green")
        output.say(f"digest {policy.digest}")
    return USAGE if policy is None else DONE


def test_policy(output: Output, file: Path, override: Path | None) -> int:
    """Run every case of the file and print what came of each; return the exit code."""
    try:
        cases = read_cases(file)
    except InvalidPolicy as error:
        return say_problems(error, _CASES)
    place = override or file.parent / cases.policy
    policy = parse_policy(place.read_bytes(), source=str(place))
    results = [(case.name, run_case(case, policy.retention)) for case in cases.cases]
    passed = sum(1 for _, failures in results if not failures)
    if output.json:
        output.document(
            {
                "file": str(file),
                "policy": str(place),
                "passed": passed == len(results),
                "cases": [
                    {"name": name, "passed": not failures, "failures": failures} for name, failures in results
                ],
            }
        )
    else:
        for name, failures in results:
            if failures or not output.quiet:
                output.say(f"{'failed' if failures else 'passed'}  {name}", fg="red" if failures else "green")
            for failure in failures:
                output.say(f"        {failure}")
        output.say(f"{passed} of {count(len(results), 'case')} passed")
    return DONE if passed == len(results) else NO


def _document(file: Path, policy: Policy | None, problems: InvalidPolicy | None) -> dict[str, Any]:
    return {
        "file": str(file),
        "valid": policy is not None,
        "digest": None if policy is None else policy.digest,
        "problems": [
            {"path": problem.path, "line": problem.line, "message": problem.message}
            for problem in (problems.problems if problems is not None else ())
        ],
        "rules": [] if policy is None else list(policy.retention.rule_names),
        "protections": [] if policy is None else [each.name for each in policy.retention.protections],
        "routes": [] if policy is None else [each.name for each in policy.replication.routes],
    }
