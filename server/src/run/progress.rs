//! A progress bar where a person watches, and lines or nothing where nobody does.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

/// A bar on stderr, if that is a terminal. `total_bytes` is what the whole work has, if it is known.
pub(super) fn bar(total_bytes: Option<u64>) -> ProgressBar {
    // The target draws at most so often, and not at all if it is no terminal.
    let target = ProgressDrawTarget::stderr_with_hz(10);
    match total_bytes {
        Some(total) => ProgressBar::with_draw_target(Some(total), target)
            .with_style(style("{bar:40} {percent:>3}%  {msg}  {binary_bytes_per_sec}  {eta} left")),
        None => ProgressBar::with_draw_target(None, target)
            .with_style(style("{spinner} {elapsed_precise}  {msg}")),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// How a shard that moves does.
#[derive(Clone, Copy)]
pub(super) enum Track {
    /// Its turn has not come.
    Waiting,
    /// So much of it is at its new group.
    Moving { bytes: u64, total: u64 },
    /// It is there, with so much in it.
    Over { keys: u64, bytes: u64 },
}

/// A bar for each shard that moves; or lines, where nobody watches.
pub(super) struct Tracks {
    is_terminal: bool,
    all: MultiProgress,
    moving: BTreeMap<u16, Moving>,
}

struct Moving {
    bar: ProgressBar,
    begun: Instant,
    told: Instant,
}

/// A line for a shard that moves comes at most so often.
const LINE_EVERY: Duration = Duration::from_secs(1);

impl Tracks {
    pub(super) fn new(is_terminal: bool) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        Self { is_terminal, all, moving: BTreeMap::new() }
    }

    /// Shows how a shard does. `way` says which it is, and where it goes.
    pub(super) fn show(&mut self, shard: u16, track: Track, way: impl Fn() -> String) {
        match track {
            Track::Waiting => {}
            Track::Moving { bytes, total } => self.moves(shard, bytes, total, way),
            Track::Over { keys, bytes } => {
                let begun = self.moving.remove(&shard).map(|moving| {
                    moving.bar.finish_and_clear();
                    moving.begun
                });
                let seconds = begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64());
                self.line(&format!(
                    "{}, {keys} keys, {} in {seconds:.1} s",
                    way(),
                    HumanBytes(bytes)
                ));
            }
        }
    }

    fn moves(&mut self, shard: u16, bytes: u64, total: u64, way: impl Fn() -> String) {
        let now = Instant::now();
        let moving = self.moving.entry(shard).or_insert_with(|| {
            let template =
                "{msg}  {bar:30}  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}";
            let bar = ProgressBar::new(total).with_style(style(template)).with_message(way());
            Moving { bar: self.all.add(bar), begun: now, told: now }
        });
        moving.bar.set_length(total.max(bytes));
        moving.bar.set_position(bytes);
        if !self.is_terminal && now >= moving.told + LINE_EVERY {
            moving.told = now;
            let rate = bytes as f64 / (now - moving.begun).as_secs_f64().max(0.001);
            let (bytes, total) = (HumanBytes(bytes), HumanBytes(total));
            let line = format!("{}, {bytes} of {total}, {}/s", way(), HumanBytes(rate as u64));
            self.line(&line);
        }
    }

    fn line(&self, line: &str) {
        match self.is_terminal {
            // Above the bars. It fails when stderr is gone: then nobody is there to read it.
            true => _ = self.all.println(line),
            false => eprintln!("{line}"),
        }
    }

    pub(super) fn end(&self) {
        // As above.
        let _ = self.all.clear();
    }
}
