//! A progress bar where a person watches, and nothing where nobody does.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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
