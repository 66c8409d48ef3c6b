"""The shape of a policy document, key by key; the JSON Schema that editors use is made from it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.policy import fields
from shared.policy.combinations import check_route, check_rule


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


class ProtectionModel(_Section):
    """Tags that stay, whatever any rule says."""

    name: fields.Name | None = Field(None, description="What reasons call it; the tags when left out.")
    registries: fields.Registries | None = Field(None, description="Globs of login servers; all by default.")
    repositories: fields.Repositories | None = Field(None, description="Doublestar globs; all by default.")
    exclude_repositories: fields.ExcludedRepositories = Field(
        (), description="Globs of repositories left out."
    )
    tags: fields.Tags = Field(description="Globs, matched whole.")


class RuleModel(_Section):
    """One rule: tags that go, tags that stay (keep), or untagged manifests that go (untagged)."""

    name: fields.Name = Field(description="Unique; every reason and report names it.")
    registries: fields.Registries | None = Field(None, description="Globs of login servers; all by default.")
    repositories: fields.Repositories = Field(description="Doublestar globs, such as team/**.")
    exclude_repositories: fields.ExcludedRepositories = Field(
        (), description="Globs of repositories left out."
    )
    tags: fields.Tags | None = Field(None, description="Globs, matched whole.")
    tags_matching: fields.Expressions | None = Field(
        None, description="RE2 expressions, matched whole; named groups tell streams apart."
    )
    exclude_tags: fields.ExcludedTags = Field((), description="Globs of tags that the rule does not see.")
    untagged: fields.YesNo = Field(False, description="The rule is about manifests without a tag.")
    keep: fields.YesNo = Field(False, description="What matches stays, whatever other rules say.")
    older_than: fields.Age | None = Field(None, description="90m, 12h, 30d, 6w.")
    age_by: Literal["updated", "created"] = Field("updated", description="Which time of a tag is its age.")
    keep_newest: fields.Count | None = Field(
        None, description="How many of all tags that match stay; per repository, and per stream if given."
    )
    keep_newest_per: fields.Name | None = Field(
        None, description="A named group of every tags_matching: each value captured is a stream."
    )
    order_by: Literal["updated", "created", "semver"] = Field("updated", description="What newest means.")
    when: Literal["all", "any"] = Field(
        "all", description="all: older and outside the newest. any: one of the two is enough."
    )
    only_if_more_than: fields.Count | None = Field(
        None, description="The rule removes nothing from a repository with at most so many tags."
    )
    untag_only: fields.YesNo = Field(False, description="Remove tags, and leave their manifests.")
    on_push: fields.YesNo = Field(False, description="Also apply shortly after a push to the repository.")

    @model_validator(mode="after")
    def _check(self) -> "RuleModel":
        check_rule(self)
        return self


class LimitModel(_Section):
    """How much may be removed at once; beyond it, nothing is, and a person is asked."""

    deletions: fields.Count | None = Field(None, description="So many tags, or so many manifests.")
    percent: fields.Percent | None = Field(None, description="Such a share of the tags, or of the manifests.")
    combine: Literal["or", "and"] = Field("or", description="Whether one limit exceeded is enough to refuse.")


class LimitsModel(_Section):
    """Brakes per repository and per run."""

    repository: LimitModel | None = None
    run: LimitModel | None = None


class CapsModel(_Section):
    """How much one run removes; the rest waits for the next run, and nobody is asked."""

    repository: fields.Count | None = Field(
        None, description="So many tags and manifests together, from each repository."
    )
    run: fields.Count | None = Field(None, description="So many from all repositories together.")


class RetentionModel(_Section):
    """What is removed from the registries, and what never is."""

    grace: fields.Grace | None = Field(
        None, description="Younger manifests are never touched; 24h by default."
    )
    protect: tuple[ProtectionModel, ...] = ()
    rules: tuple[RuleModel, ...] = ()
    limits: LimitsModel | None = None
    at_most: CapsModel | None = None


class SourceModel(_Section):
    """Which pushed tags a route takes."""

    registries: fields.Registries | None = Field(None, description="Globs of login servers; all by default.")
    repositories: fields.Repositories = Field(description="Doublestar globs, such as team/*.")
    exclude_repositories: fields.ExcludedRepositories = Field(
        (), description="Globs of repositories left out."
    )
    tags: fields.Tags | None = Field(None, description="Globs, matched whole.")
    tags_matching: fields.Expressions | None = Field(
        None, description="RE2 expressions, matched whole; named groups are placeholders of the target."
    )
    versions: fields.VersionRanges | None = Field(
        None, description="Ranges of semantic versions, such as >=1.4.0 <2.0.0; one of them is enough."
    )
    exclude_tags: fields.ExcludedTags = Field((), description="Globs of tags left out.")


class RouteModel(_Section):
    """Where some pushed tags go."""

    name: fields.Name = Field(description="Unique; outcomes name it.")
    source: SourceModel = Field(alias="from")
    to: fields.Templates = Field(
        description="One target or several; {repository}, {basename}, {flattened}, {registry_name} and "
        "groups of tags_matching are filled in."
    )
    on_delete: Literal["keep", "mirror"] = Field(
        "keep", description="Whether a tag that vanishes at the source vanishes on the target."
    )
    referrers: fields.YesNo = Field(True, description="Take signatures and SBOMs along.")
    visibility: Literal["private", "public"] = Field(
        "private", description="Of a repository that has to be made on the target."
    )
    platforms: fields.Platforms | None = Field(
        None, description="What is copied of an index, such as linux/amd64; all by default."
    )
    extra_tags: fields.ExtraTags | None = Field(
        None, description="More names for each tag on the target, such as {tag}-mirror."
    )

    @model_validator(mode="after")
    def _check(self) -> "RouteModel":
        check_route(self)
        return self


class ReplicationModel(_Section):
    """What is copied to other registries."""

    routes: tuple[RouteModel, ...] = ()


class PolicyModel(_Section):
    """A Registry Steward policy."""

    version: Annotated[fields.Version, Field(description="1: this shape of the document.")]
    retention: RetentionModel | None = None
    replication: ReplicationModel | None = None

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of the whole document."""
        schema = cls.model_json_schema(by_alias=True)
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
