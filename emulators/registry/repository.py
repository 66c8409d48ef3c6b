"""One repository and its two catalogues, tags and manifests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Literal

from emulators.registry.ordering import SortedKeys
from emulators.registry.records import UNLOCKED, Manifest, Tag

type Order = Literal["none", "timeasc", "timedesc"]


class Catalogue[Record: (Tag, Manifest)]:
    """Records by key, in the order of their keys and in the order of their last update."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._by_key = SortedKeys[str]()
        self._by_time = SortedKeys[tuple[datetime, str]]()
        self._gone: dict[str, datetime] = {}

    def get(self, key: str) -> Record | None:
        return self._records.get(key)

    def put(self, key: str, record: Record) -> None:
        before = self._records.get(key)
        self._records[key] = record
        if before is None:
            self._by_key.add(key)
        elif before.updated == record.updated:
            return
        else:
            self._by_time.remove((before.updated, key))
        self._by_time.add((record.updated, key))

    def pop(self, key: str) -> Record:
        record = self._records.pop(key)
        self._by_key.remove(key)
        self._by_time.remove((record.updated, key))
        self._gone[key] = record.updated
        return record

    def page(self, *, last: str | None = None, order: Order = "none") -> Iterator[Record]:
        """Yield the records behind ``last``; a record deleted meanwhile still marks its place."""
        if order == "none":
            return (self._records[key] for key in self._by_key.after(last))
        mark = None
        if last is not None:
            record = self._records.get(last)
            updated = record.updated if record is not None else self._gone.get(last)
            mark = None if updated is None else (updated, last)
        timed = self._by_time.after(mark) if order == "timeasc" else self._by_time.before(mark)
        return (self._records[key] for _, key in timed)

    def __getitem__(self, key: str) -> Record:
        return self._records[key]

    def __contains__(self, key: object) -> bool:
        return key in self._records

    def __iter__(self) -> Iterator[str]:
        return self._by_key.after(None)

    def __len__(self) -> int:
        return len(self._records)


class Repository:
    """One repository: its blobs, manifests, tags and who refers to whom."""

    def __init__(self, name: str, *, at: datetime) -> None:
        self.name = name
        self.created = at
        self.updated = at
        self.locks = UNLOCKED
        self.blobs: set[str] = set()
        self.manifests = Catalogue[Manifest]()
        self.tags = Catalogue[Tag]()
        self.referrers: dict[str, dict[str, None]] = {}
        """Digests of referrers by the digest of their subject, in order of arrival."""

    def resolve(self, reference: str) -> Manifest | None:
        """Find a manifest by tag or digest."""
        if ":" not in reference:
            tag = self.tags.get(reference)
            if tag is None:
                return None
            reference = tag.digest
        return self.manifests.get(reference)


def untie(home: Repository, tag: Tag) -> None:
    """Take a tag's name off its manifest."""
    manifest = home.manifests.get(tag.digest)
    if manifest is not None:
        kept = tuple(name for name in manifest.tags if name != tag.name)
        home.manifests.put(tag.digest, replace(manifest, tags=kept))
