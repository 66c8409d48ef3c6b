"""Tags that belong to a manifest by their name: cosign's, and the referrers fallback tag.

``sha256-<hex>`` is the tag under which a registry without the referrers API lists what refers to a
manifest (distribution-spec, "Referrers Tag Schema"); cosign adds ``.sig``, ``.att`` and ``.sbom`` for what
it attaches (sigstore/cosign, SIGNATURE_SPEC.md). They say nothing of their own: they live as long as
their subject does, count for nothing, and have no age.
"""

import re
from collections.abc import Collection, Iterable
from typing import Final

from shared.oci.names import Digest, TagName
from shared.retention.snapshot import TagRecord

_BOUND: Final = re.compile(
    r"(?P<digest>sha256-[a-f0-9]{64}|sha512-[a-f0-9]{64}(?:[a-f0-9]{64})?)(?:\.[A-Za-z0-9_-]+)?"
)
_SHORTENED: Final = len("sha512:") + 64


def bound_subject(tag: TagName) -> Digest | None:
    """Return the sha256 subject that the tag's name says it belongs to, ``None`` for any other tag."""
    match = _BOUND.fullmatch(tag)
    if match is None or not tag.startswith("sha256"):
        return None
    return Digest(match["digest"].replace("-", ":"))


def bound_tags(tags: Iterable[TagRecord], digests: Collection[Digest]) -> dict[TagName, Digest]:
    """Return the subject of each bound tag, whether or not it is among the digests.

    A tag that names the very manifest it points at is a person's way to pin it, and not bound. The
    encoded part is cut to 64 characters by the spec, so a sha512 subject is found by what is left of it.
    """
    found: dict[TagName, Digest] = {}
    shortened: dict[str, Digest] | None = None
    for tag in tags:
        if not tag.name.startswith("sha") or (match := _BOUND.fullmatch(tag.name)) is None:
            continue
        subject = match["digest"].replace("-", ":")
        if subject.startswith("sha512:") and len(subject) == _SHORTENED:
            if shortened is None:
                shortened = {
                    digest[:_SHORTENED]: digest for digest in digests if digest.startswith("sha512:")
                }
            subject = shortened.get(subject, subject)
        if subject != tag.digest:
            found[tag.name] = Digest(subject)
    return found
