//! Where pictures are drawn: one thread, for as long as the process lives.
//!
//! A thread for each picture would leave what it allocated behind, in an arena of its own (glibc).

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use tokio::sync::{Semaphore, oneshot};

use super::decoding::DrawError;

type Job = Box<dyn FnOnce() + Send>;

/// The thread that draws. It ends when the last clone is gone.
#[derive(Clone)]
pub(super) struct Studio {
    jobs: Sender<Job>,
    /// One picture at a time: each may take [`super::decoding::MAX_DECODED`] bytes while it is open.
    turn: Arc<Semaphore>,
}

impl Studio {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system refuses it.
    pub(super) fn open() -> io::Result<Self> {
        let (jobs, waiting) = channel::<Job>();
        let work = move || {
            for job in waiting {
                // A decoder that panics ends its own job, and the panic is in the log.
                drop(catch_unwind(AssertUnwindSafe(job)));
            }
        };
        std::thread::Builder::new().name("pictures".to_owned()).spawn(work)?;
        Ok(Self { jobs, turn: Arc::new(Semaphore::new(1)) })
    }

    /// Does something with a picture. The turn ends with the work, also when nobody waits for it any more.
    ///
    /// # Errors
    /// When it is no picture that we take.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, DrawError> + Send + 'static,
    ) -> Result<T, DrawError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let (answer, answered) = oneshot::channel();
        let job = move || {
            drop(answer.send(work()));
            drop(turn);
        };
        // Without the thread, or with a job that panicked, the answer is dropped.
        drop(self.jobs.send(Box::new(job)));
        answered.await.unwrap_or(Err(DrawError::Broken))
    }
}
