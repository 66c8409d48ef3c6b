from hypothesis import given
from hypothesis import strategies as st

from shared.oci.graph import Edges, deletion_order, held_by_each, reachable, referrers_by_subject
from shared.oci.names import Digest


def node(name: object) -> Digest:
    return Digest(f"sha256:{name:>064}")


@st.composite
def graphs(draw: st.DrawFn, *, acyclic: bool = True) -> dict[Digest, Edges]:
    """Graphs of up to eight manifests; those that hashes allow have edges to lower numbers only."""
    count = draw(st.integers(0, 8))
    edges: dict[Digest, Edges] = {}
    for number in range(count):
        targets = [node(other) for other in range(number if acyclic else count)]
        if not targets:
            continue
        children = draw(st.lists(st.sampled_from(targets), max_size=3, unique=True))
        subject = draw(st.none() | st.sampled_from(targets))
        edges[node(number)] = Edges(tuple(children), subject)
    return edges


def some_of(edges: dict[Digest, Edges]) -> st.SearchStrategy[list[Digest]]:
    return st.lists(st.sampled_from([*edges, node(0), node(99)]), unique=True)


def test_children_and_referrers_are_held_and_subjects_are_not() -> None:
    edges = {
        node("index"): Edges((node("amd"), node("arm"))),
        node("signature"): Edges((), node("arm")),
        node("countersignature"): Edges((), node("signature")),
    }
    assert reachable([node("index")], edges) == {
        node("index"): None,
        node("amd"): node("index"),
        node("arm"): node("index"),
        node("signature"): node("arm"),
        node("countersignature"): node("signature"),
    }
    assert reachable([node("countersignature")], edges).keys() == {node("countersignature")}


def test_what_is_bound_from_outside_is_held_too() -> None:
    held = reachable([node("a")], {}, bound={node("a"): [node("b")], node("b"): [node("c")]})
    assert held.keys() == {node("a"), node("b"), node("c")}


def test_an_index_that_lists_its_own_subject_goes_before_it() -> None:
    edges = {node(9): Edges((node(1),), node(1))}
    assert deletion_order([node(1), node(9)], edges) == {node(9): (), node(1): (node(9),)}


@given(st.data(), graphs(acyclic=False))
def test_the_roots_are_reachable_and_held_by_nothing(data: st.DataObject, edges: dict[Digest, Edges]) -> None:
    roots = data.draw(some_of(edges))
    held = reachable(roots, edges)
    assert all(held[root] is None for root in roots)
    assert {digest for digest, holder in held.items() if holder is None} == set(roots)


@given(st.data(), graphs(acyclic=False))
def test_reaching_from_what_was_reached_adds_nothing(data: st.DataObject, edges: dict[Digest, Edges]) -> None:
    held = reachable(data.draw(some_of(edges)), edges)
    assert reachable(held, edges).keys() == held.keys()


@given(st.data(), graphs(acyclic=False))
def test_more_roots_reach_more(data: st.DataObject, edges: dict[Digest, Edges]) -> None:
    one, other = data.draw(some_of(edges)), data.draw(some_of(edges))
    together = reachable([*one, *other], edges).keys()
    assert together == reachable(one, edges).keys() | reachable(other, edges).keys()


@given(st.data(), graphs(acyclic=False))
def test_what_is_reached_is_closed(data: st.DataObject, edges: dict[Digest, Edges]) -> None:
    held = reachable(data.draw(some_of(edges)), edges).keys()
    referrers = referrers_by_subject(edges)
    for digest in held:
        assert held >= set(edges.get(digest, Edges()).children)
        assert held >= set(referrers.get(digest, []))


@given(st.data(), graphs(acyclic=False))
def test_the_deletion_order_has_each_digest_once(data: st.DataObject, edges: dict[Digest, Edges]) -> None:
    digests = data.draw(some_of(edges))
    assert sorted(deletion_order(digests, edges)) == sorted(digests)


@given(st.data(), graphs())
def test_no_child_is_deleted_before_an_index_that_lists_it(
    data: st.DataObject, edges: dict[Digest, Edges]
) -> None:
    order = deletion_order(data.draw(some_of(edges)), edges)
    position = {digest: at for at, digest in enumerate(order)}
    for digest, pointing in edges.items():
        for child in pointing.children:
            assert digest not in position or child not in position or position[digest] < position[child]


@given(st.data(), graphs())
def test_a_subject_is_deleted_before_its_referrers_unless_they_list_it(
    data: st.DataObject, edges: dict[Digest, Edges]
) -> None:
    order = deletion_order(data.draw(some_of(edges)), edges)
    position = {digest: at for at, digest in enumerate(order)}
    if any(pointing.children for pointing in edges.values()):
        return
    for digest, pointing in edges.items():
        if pointing.subject in position and digest in position:
            assert position[pointing.subject] < position[digest]


@given(st.data(), graphs(acyclic=False), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(
    data: st.DataObject, edges: dict[Digest, Edges], random: object
) -> None:
    digests = data.draw(some_of(edges))
    shuffled = list(digests)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert list(deletion_order(shuffled, edges).items()) == list(deletion_order(digests, edges).items())


@given(st.data(), graphs(acyclic=False))
def test_only_what_is_asked_for_holds_and_is_held(data: st.DataObject, edges: dict[Digest, Edges]) -> None:
    digests = set(data.draw(some_of(edges)))
    held = held_by_each(digests, edges)
    assert held.keys() <= digests
    for digest, targets in held.items():
        assert targets
        assert targets <= digests - {digest}


@given(st.data(), graphs(acyclic=False))
def test_holders_are_named_and_come_before_what_they_hold(
    data: st.DataObject, edges: dict[Digest, Edges]
) -> None:
    digests = data.draw(some_of(edges))
    order = deletion_order(digests, edges)
    position = {digest: at for at, digest in enumerate(order)}
    held = held_by_each(digests, edges)
    for digest, holders in order.items():
        expected = [each for each in held if digest in held[each] and position[each] < position[digest]]
        assert list(holders) == sorted(expected)
