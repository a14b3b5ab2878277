//! Reports: the text to the letter, the page by its structure.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use raft_sim::checker::models::{Got, KvInput, KvModel, KvOp, KvOutput};
use raft_sim::checker::{Budget, Core, Limits, Verdict, check, minimise};
use raft_sim::history::{ClientId, History, Moment, Operation, Outcome};
use raft_sim::report::Report;

type KvHistory = History<KvInput, KvOutput>;

/// Client, call, return, operation, answer.
type Line<'a> = (u64, u64, u64, KvOp, Option<KvOutput>);

fn history(key: &str, lines: &[Line<'_>]) -> KvHistory {
    let at = |position| Moment { position, time: Duration::from_millis(10 * position) };
    let operation = |(client, called, returned, op, output): &Line<'_>| Operation {
        client: ClientId(*client),
        input: KvInput { key: Bytes::copy_from_slice(key.as_bytes()), op: op.clone() },
        called: at(*called),
        outcome: match output {
            Some(output) => Outcome::Returned { output: output.clone(), at: at(*returned) },
            None => Outcome::Unknown,
        },
    };
    History::new(lines.iter().map(operation).collect()).expect("a history")
}

fn value(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn found(text: &str, version: u64) -> Option<KvOutput> {
    Some(KvOutput::Got(Got::Found { value: value(text), version: Some(version) }))
}

fn done(index: u64) -> Option<KvOutput> {
    Some(KvOutput::Done { index: Some(index) })
}

/// A write that was acknowledged and read is lost again.
fn lost_write(key: &str, marks: &str) -> KvHistory {
    let put = |text: &str| KvOp::Put(value(&format!("{text}{marks}")));
    let seen = |text: &str, version| found(&format!("{text}{marks}"), version);
    history(
        key,
        &[
            (0, 0, 3, put("one"), done(4)),
            (1, 1, 2, KvOp::Get, Some(KvOutput::Got(Got::Missing))),
            (2, 4, 0, KvOp::Append(value("?")), None),
            (1, 5, 8, put("two"), done(6)),
            (0, 6, 7, KvOp::Get, seen("one", 4)),
            (0, 9, 10, KvOp::Get, seen("two", 6)),
            (3, 11, 12, KvOp::Get, seen("one", 4)),
            (1, 13, 14, KvOp::Get, seen("two", 6)),
        ],
    )
}

fn report(history: &KvHistory, minimised: bool) -> Report {
    let Verdict::Illegal(witness) = check(&KvModel, history, &Limits::default()) else {
        panic!("a write is lost")
    };
    let limits = Limits::new(Budget::Steps(100_000));
    let core = match minimised {
        true => minimise(&KvModel, history, &witness, &limits, 500),
        false => Core::of(history, &witness),
    };
    Report::new(&KvModel, history, &core)
}

const TEXT: &str = r#"not linearizable: key "k"

Of 8 operations, the answers of these contradict each other:

          client    called  returned    called at  operation
      #5       0         9        10    0.090000s  get "k" -> "two" at version 6
      #6       3        11        12    0.110000s  get "k" -> "one" at version 4

They do whenever these took effect after their calls, if ever:

          client    called  returned    called at  operation
      #0       0         0         3    0.000000s  put "k" "one" -> done at 4
      #2       2         4     never    0.040000s  append "k" "?" -> ?
      #3       1         5         8    0.050000s  put "k" "two" -> done at 6

An explanation gets no farther than this:

                at first  =>  missing
     1.     #3  put "k" "two" -> done at 6  =>  "two"
     2.     #5  get "k" -> "two" at version 6  =>  "two" at version 6
  stuck     #6  get "k" -> "one" at version 4

It returned before anything else that is left was called, so it must come next.
"#;

#[test]
fn the_text_to_the_letter() {
    let text = report(&lost_write("k", ""), true).text();
    assert_eq!(text, TEXT, "\n{text}");
}

/// The tags of a page, opened and closed in order. Panics where they do not nest, or an attribute is not
/// between quotation marks.
fn tags(page: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut open: Vec<String> = Vec::new();
    let mut tags = Vec::new();
    for piece in page.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("every tag ends");
        assert!(!text.contains('>'), "{text:?} is not escaped");
        let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        let mut attributes = BTreeMap::new();
        while let Some((key, value)) = rest.split_once("=\"") {
            let (value, after) = value.split_once('"').expect("a value ends");
            attributes.insert(key.trim().to_owned(), value.to_owned());
            rest = after;
        }
        let closed = rest == "/" || ["!DOCTYPE", "meta"].contains(&name);
        assert!(closed || rest.is_empty(), "{tag:?}");
        if !closed {
            open.push(name.to_owned());
        }
        tags.push((name.to_owned(), attributes));
    }
    assert_eq!(open, Vec::<String>::new());
    tags
}

/// The classes of the bars in the timeline, by operation.
fn bars(page: &str) -> BTreeMap<String, String> {
    let bar = |(name, attributes): (String, BTreeMap<String, String>)| {
        (name == "g").then(|| (attributes["id"].clone(), attributes["class"].clone()))
    };
    tags(page).into_iter().filter_map(bar).collect()
}

#[test]
fn the_page_shows_every_operation_and_what_it_has_to_do_with_it() {
    let history = lost_write("k", "");
    let bars = |minimised| bars(&report(&history, minimised).html());
    let expected = |all: &[(&str, &str)]| {
        all.iter().map(|(id, class)| ((*id).into(), (*class).into())).collect::<BTreeMap<_, _>>()
    };
    // What was called after the end of the contradiction is not shown.
    let whole = [
        ("op0", "needed"),
        ("op1", "needed"),
        ("op2", "optional open"),
        ("op3", "needed"),
        ("op4", "needed"),
        ("op5", "needed"),
        ("op6", "offending"),
    ];
    assert_eq!(bars(false), expected(&whole));
    let core = [
        ("op0", "optional"),
        ("op1", "left-out"),
        ("op2", "optional open"),
        ("op3", "optional"),
        ("op4", "left-out"),
        ("op5", "needed"),
        ("op6", "offending"),
    ];
    assert_eq!(bars(true), expected(&core));
}

#[test]
fn the_page_numbers_the_order_and_tells_all_on_hover() {
    let page = report(&lost_write("k", ""), false).html();
    for expected in [
        "<title>#6 by client 3\nget &quot;k&quot; -&gt; &quot;one&quot; at version 4\n\
         called at position 11, 0.110000s\nreturned at position 12, 0.120000s\n\
         has no place in the order</title>",
        "never returned",
        "place 1 in the order, then: missing",
        "<code>&quot;two&quot; at version 6</code>",
        ">client 3</text>",
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
}

#[test]
fn whatever_stands_in_keys_and_values_is_text() {
    let marks = "</title><script>alert(1)</script>\"'&\u{0}\u{1b}[31m\n";
    for minimised in [false, true] {
        let page = report(&lost_write(marks, marks), minimised).html();
        let names: Vec<_> = tags(&page).into_iter().map(|(name, _)| name).collect();
        let known = "!DOCTYPE html head meta title style body h1 code p h2 span div svg text line g rect \
            table tr th td";
        assert!(names.iter().all(|name| known.split(' ').any(|known| known == name)), "{names:?}");
        assert!(!page.contains('\0') && !page.contains('\u{1b}'));
        // It loads nothing.
        let page = page.replace("http://www.w3.org/2000/svg", "");
        for word in ["http", "src=", "href=", "url(", "@import", "<script"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}

#[test]
fn long_values_are_shortened() {
    let report = report(&lost_write("k", &"x".repeat(100_000)), false);
    let longest = report.text().lines().map(str::len).max();
    assert!(longest < Some(300), "{longest:?}");
    assert!(report.text().contains("\u{2026}"));
    assert!(report.html().len() < 60_000, "{}", report.html().len());
}
