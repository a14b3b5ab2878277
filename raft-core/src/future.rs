//! Futures behind `dyn` traits, without a macro.

use alloc::boxed::Box;
use core::future::Future;
use core::pin::Pin;

/// What an object-safe async method returns: `Box::pin(async move { … })` makes one.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
