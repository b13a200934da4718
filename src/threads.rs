//! Threads for work that waits or takes long: the database, a disk, a hash. The threads that serve requests do neither.

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// Threads with a queue, each started when first needed.
pub struct Threads {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Threads {
    /// Prepares up to `count` threads.
    #[expect(clippy::expect_used, reason = "without timers and sockets it asks nothing of the system")]
    pub fn new(name: &str, count: usize) -> Self {
        let runtime = Builder::new_current_thread().max_blocking_threads(count).thread_name(name).build();
        let runtime = runtime.expect("a runtime");
        Self { handle: runtime.handle().clone(), runtime: Some(runtime) }
    }

    /// Runs `work` when a thread is free, even if nobody waits for it any more. An error means that it panicked, or won't run because
    /// these threads are gone.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn_blocking(work)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // This may run on the event loop, which must not wait for a thread; and a thread might never finish.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
