//! Threads for what waits or takes long: for the database, a disk, a hash. Those that serve do neither.

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// Some threads with a line before them. They are started when they are needed.
pub struct Threads {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Threads {
    /// Prepares so many.
    #[expect(clippy::expect_used, reason = "without timers and sockets it asks nothing of the system")]
    pub fn new(name: &str, count: usize) -> Self {
        let runtime = Builder::new_current_thread().max_blocking_threads(count).thread_name(name).build();
        let runtime = runtime.expect("a runtime");
        Self { handle: runtime.handle().clone(), runtime: Some(runtime) }
    }

    /// Does some work when a thread is free, also when nobody waits for it any more. Its error means that the work panicked, or will
    /// not be done since these threads are gone.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn_blocking(work)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waiting for a thread is not allowed where this may be dropped: on the event loop. And one may never come back.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
