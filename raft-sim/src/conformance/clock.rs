//! The runtimes in which a kit lets things live.

/// The clock of a runtime of the kit's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// Time jumps when there is nothing to do: a run takes no time and is the same every time. For what waits
    /// for nothing outside of the process.
    Paused,
    /// For what uses threads, sockets or devices.
    Real,
}

impl Clock {
    /// One life: a runtime of one thread, which takes everything with it at the end.
    pub(super) fn live<T>(self, life: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(self == Self::Paused).build();
        runtime.unwrap_or_else(|error| panic!("cannot make a runtime: {error}")).block_on(life)
    }
}
