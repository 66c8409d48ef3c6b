"""What a person can do about what went wrong, in words."""

from typing import Final, NamedTuple

_MARK: Final = ". To mend it: "

_REMEDIES: Final = {
    "refused": "Look at the plan. If it is what you want, raise retention.limits in the policy; "
    "the next night plans anew.",
    "closed": "Nothing is removed while something cannot be read. Push it again, delete it by hand, or give "
    "the app's identity the role to read it.",
    "failed": "The other repositories are not affected, and the next night tries again. The function's logs "
    "hold the error.",
    "action": "The next night tries again. If it says denied, give the app's identity AcrDelete there.",
    "unlisted": "See that the credential of the target may list its tags; the next comparison tries again.",
    "poison": "Mend what stopped them, then send each again: POST /api/poison/replay, or steward replay.",
    "check": "Mend the setting or the role that it names; nothing runs well before.",
}


class Advice(NamedTuple):
    """What happened, and what to do about it where that is known."""

    what: str
    remedy: str | None


def remedy_of(kind: str) -> str | None:
    """Return what to do about one kind of trouble."""
    return _REMEDIES.get(kind)


def split_advice(detail: str) -> Advice:
    """Return the two halves of what an outcome says (see ``shared/replication/advice.py``)."""
    what, mark, remedy = detail.partition(_MARK)
    return Advice(what, f"{remedy[:1].upper()}{remedy[1:]}." if mark else None)
