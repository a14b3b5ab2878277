use super::*;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);

fn at(text: &str) -> Address {
    Address::from(text)
}

fn book(dir: &tempfile::TempDir, own: NodeId, life: u64) -> Arc<AddressBook> {
    let path = dir.path().join(format!("book-{}", own.0));
    let book = AddressBook::open(path, own, Incarnation(life), DirectoryOrigin::Existing, 1);
    Arc::new(book.expect("a book"))
}

#[tokio::test]
async fn a_stranger_and_a_node_in_another_life_are_not_let_in_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = book(&dir, A, 7);
    assert_eq!(first.admit(B, Incarnation(8)), Admission::UnknownNode);
    first.hint(B, at("b:1"));
    assert_eq!(first.admit(B, Incarnation(8)), Admission::Admitted);
    first.save().await.unwrap();
    let again = book(&dir, A, 7);
    assert_eq!(again.admit(B, Incarnation(9)), Admission::WrongIncarnation);
    assert_eq!(again.admit(B, Incarnation(8)), Admission::Admitted);
    again.succeed(B, Incarnation(9), at("b:2")).await.unwrap();
    assert_eq!(again.admit(B, Incarnation(9)), Admission::Admitted);
    assert_eq!(again.admit(B, Incarnation(8)), Admission::WrongIncarnation);
    assert_eq!(book(&dir, A, 7).addresses()[&B], at("b:2"));
}

#[test]
fn of_two_addresses_the_one_that_the_node_told_last_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (book(&dir, A, 7), book(&dir, B, 8));
    b.enter_own(at("b:1")).unwrap();
    a.merge(&b.contents());
    let old = b.contents();
    b.enter_own(at("b:2")).unwrap();
    a.merge(&b.contents());
    a.merge(&old);
    assert_eq!(a.addresses()[&B], at("b:2"));
    // Also when the node has forgotten how often it has moved.
    let dir = tempfile::tempdir().unwrap();
    let b = book(&dir, B, 8);
    b.enter_own(at("b:3")).unwrap();
    b.merge(&a.contents());
    a.merge(&b.contents());
    assert_eq!(a.addresses()[&B], at("b:3"));
    assert!(!*b.succeeded().borrow());
}

#[tokio::test]
async fn a_life_that_was_succeeded_learns_of_it_and_cannot_take_its_number_back() {
    let dir = tempfile::tempdir().unwrap();
    let (a, old) = (book(&dir, A, 7), book(&dir, B, 8));
    old.enter_own(at("b:1")).unwrap();
    a.merge(&old.contents());
    a.succeed(B, Incarnation(9), at("b:9")).await.unwrap();
    for port in 2..5 {
        old.enter_own(at(&format!("b:{port}"))).unwrap();
        a.merge(&old.contents());
    }
    assert_eq!(a.addresses()[&B], at("b:9"));
    assert_eq!(a.admit(B, Incarnation(8)), Admission::WrongIncarnation);
    old.merge(&a.contents());
    assert!(*old.succeeded().borrow());
}

#[test]
fn a_wiped_node_learns_that_it_is_known_in_another_life() {
    let dir = tempfile::tempdir().unwrap();
    let a = book(&dir, A, 7);
    a.hint(B, at("b:1"));
    a.admit(B, Incarnation(8));
    let wiped = |origin| {
        let path = dir.path().join("wiped");
        let wiped = AddressBook::open(path, B, Incarnation(9), origin, 1).unwrap();
        wiped.enter_own(at("b:1")).unwrap();
        wiped
    };
    let fresh = wiped(DirectoryOrigin::Created);
    a.merge(&fresh.contents());
    assert_eq!(a.admit(B, Incarnation(9)), Admission::WrongIncarnation);
    fresh.merge(&a.contents());
    assert!(*fresh.succeeded().borrow());
    // One that has been there for long is not stopped by what somebody else has seen by mistake.
    let old = wiped(DirectoryOrigin::Existing);
    old.merge(&a.contents());
    assert!(!*old.succeeded().borrow());
}

#[test]
fn the_members_of_a_group_are_those_of_its_newest_membership() {
    let dir = tempfile::tempdir().unwrap();
    let a = book(&dir, A, 7);
    let group = GroupId(3);
    a.place(group, 5, &Membership::of_voters([A, B]));
    a.place(group, 4, &Membership::of_voters([A]));
    assert!(a.introduce(B, Incarnation(8), &at("b:1")));
    assert!(!a.introduce(B, Incarnation(9), &at("b:2")), "another life");
    a.enter_own(at("a:1")).unwrap();
    assert_eq!(a.members(group), [(A, at("a:1")), (B, at("b:1"))]);
    a.place(group, 6, &Membership::of_voters([B]));
    assert_eq!(a.members(group), [(B, at("b:1"))]);
}

#[test]
fn a_book_takes_no_more_than_it_has_room_for() {
    let dir = tempfile::tempdir().unwrap();
    let a = book(&dir, A, 7);
    let entry = |text: &str| Entry::first(at(text), None);
    let nodes = (1..=2 * ENTRIES_MAX as u64).map(|node| (NodeId(node), entry("b:1")));
    let groups = (1..=2 * ENTRIES_MAX as u64).map(|group| (GroupId(group), Place::default()));
    let mut many = Contents { nodes: nodes.collect(), groups: groups.collect() };
    many.nodes.insert(NodeId(9), entry(&"b".repeat(ADDRESS_BYTES_MAX + 1)));
    a.merge(&many);
    let held = a.contents();
    assert_eq!((held.nodes.len(), held.groups.len()), (ENTRIES_MAX, ENTRIES_MAX));
    assert!(!held.nodes.contains_key(&NodeId(9)), "an address that is too long");
}

#[test]
fn what_is_no_book_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["", "{}", "{\"version\":2,\"nodes\":{},\"groups\":{}}", "{\"version\":1"] {
        std::fs::write(dir.path().join("book-1"), text).unwrap();
        let refused = AddressBook::open(
            dir.path().join("book-1"),
            A,
            Incarnation(7),
            DirectoryOrigin::Existing,
            1,
        );
        assert!(refused.is_err_and(|failure| failure.cause.contains("cannot use")), "{text}");
    }
}
