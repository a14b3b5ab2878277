use super::*;
#[test]
fn measure() {
    for (clients, count, tells, lost_percent) in [
        (5, 2_000, Tells::Little, 0),
        (5, 400, Tells::Little, 1),
        (15, 2_000, Tells::Lengths, 0),
        (15, 2_000, Tells::Versions, 0),
        (5, 400, Tells::Versions, 1),
        (5, 400, Tells::Versions, 3),
        (5, 400, Tells::Versions, 10),
        (15, 400, Tells::Versions, 1),
        (15, 400, Tells::Versions, 3),
        (15, 2_000, Tells::Versions, 1),
        (15, 2_000, Tells::Versions, 3),
    ] {
        for seed in 0..3 {
            let mut operations = Workload { key: "k", clients, count, tells, lost_percent }
                .run(&mut Rng::with_seed(seed));
            for stale in [false, true] {
                if stale {
                    let returned = |n: &usize| operations[*n].outcome.output().is_some();
                    let gets =
                        (0..operations.len()).filter(|n| operations[*n].input.op == KvOp::Get);
                    let gets: Vec<_> = gets.filter(returned).collect();
                    let (first, middle) = (gets[0], gets[gets.len() / 2]);
                    let output =
                        operations[first].outcome.output().expect("the first ones return").clone();
                    let at = operations[middle].outcome.returned().expect("the first ones return");
                    operations[middle].outcome = Outcome::Returned { output, at };
                }
                let history = History::new(operations.clone()).expect("a history");
                for p in 10..25 {
                    let t = std::time::Instant::now();
                    let v = check(&KvModel, &history, &with_steps(1 << p));
                    if !matches!(v, Verdict::Unknown(ref w) if w[0].1==Why::Steps) || p == 24 {
                        eprintln!(
                            "{clients} {count} {tells:?} {lost_percent} {seed}: stale {stale} 2^{p} ok {} {:?} {}",
                            v.is_linearizable(),
                            t.elapsed(),
                            v.is_illegal()
                        );
                        break;
                    }
                }
            }
        }
    }
}
