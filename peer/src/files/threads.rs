//! Work with the disk on threads of its own, each for one piece of work, and how it is told to stop. Not here: the work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// Says that work is not wanted any more. Asked between two blocks of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Flag(Arc<AtomicBool>);

impl Flag {
    pub(super) fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Raises a flag when it is dropped, with the future that it stands in.
#[derive(Debug)]
pub(super) struct RaiseOnDrop(pub(super) Flag);

impl Drop for RaiseOnDrop {
    fn drop(&mut self) {
        self.0.raise();
    }
}

/// The threads that are at work. How many there are is bounded by who calls [`Threads::run`].
#[derive(Debug, Default)]
pub(super) struct Threads {
    live: Arc<()>,
}

impl Threads {
    /// What `work` gives, on a thread of its own. None: the system gives no thread, or the work has panicked. Dropped, the
    /// answer is not waited for; the work goes on until it ends.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (done, result) = oneshot::channel();
        let live = self.live.clone();
        let thread = Builder::new().name("file".to_owned()).spawn(move || {
            let result = work();
            // What it has open is closed before anybody hears of it.
            drop(live);
            let _ = done.send(result);
        });
        match thread {
            Ok(_) => result.await.ok(),
            Err(error) => {
                tracing::error!(%error, "no thread for a file");
                None
            }
        }
    }

    /// Waits for all threads, `patience` at most.
    pub(super) async fn ended(&self, patience: Duration) {
        let ended = async {
            while Arc::strong_count(&self.live) > 1 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(patience, ended).await.is_err() {
            tracing::warn!("the disk is slow: a file is left behind in the middle of a block");
        }
    }
}
