//! [`RollCall`]: after an operation failed, which ranks are gone, and which did not come to it.
//!
//! Each rank numbers its operations. When one fails, the rank calls the others through the store; a thread of each
//! process answers with the number of the operation that it is in. Who does not answer is gone or stopped; if all
//! answer, those in an earlier operation are behind.

use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::environment::Environment;
use crate::ffi::Handle;

const CALL: &CStr = c"nac/roll-call";
/// Time between looks at the store.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long a call waits for answers.
const PATIENCE: Duration = Duration::from_millis(1500);

pub(crate) struct RollCall {
    rank: usize,
    size: usize,
    /// Whether a rank serves the store, rank 0.
    served_by_rank: bool,
    handle: Arc<Handle>,
    operation: Arc<AtomicU64>,
    called: AtomicBool,
}

impl RollCall {
    pub(crate) fn new(handle: Arc<Handle>, environment: &Environment) -> Self {
        let (rank, size) = (environment.rank, environment.size);
        let operation = Arc::new(AtomicU64::new(0));
        // Of two, the one that is missing is the other.
        if size > 2 {
            answer_calls(Arc::downgrade(&handle), operation.clone(), rank);
        }
        Self {
            rank,
            size,
            served_by_rank: !environment.store.elsewhere,
            handle,
            operation,
            called: AtomicBool::new(false),
        }
    }

    pub(crate) fn next_operation(&self) {
        self.operation.fetch_add(1, Ordering::SeqCst);
    }

    /// The ranks that are gone or behind; empty if that cannot be found out.
    pub(crate) fn missing(&self) -> Vec<usize> {
        if self.size <= 2 {
            return (0..self.size).filter(|rank| *rank != self.rank).collect();
        }
        if self.called.swap(true, Ordering::SeqCst) {
            return Vec::new();
        }
        let mine = self.operation.load(Ordering::SeqCst);
        if self.handle.set(CALL, 1).is_err() {
            return match self.served_by_rank && self.rank != 0 {
                true => vec![0],
                false => Vec::new(),
            };
        }
        let others = (0..self.size).filter(|rank| *rank != self.rank);
        let mut silent: Vec<usize> = others.collect();
        let mut behind = Vec::new();
        let started = Instant::now();
        while !silent.is_empty() && started.elapsed() < PATIENCE {
            thread::sleep(INTERVAL / 4);
            silent.retain(|&rank| match self.handle.get(&answer(rank)) {
                Ok(Some(operation)) => {
                    if operation < mine {
                        behind.push(rank);
                    }
                    false
                }
                _ => true,
            });
        }
        if self.served_by_rank && self.rank == 0 {
            // The others, which may have called a little later, still need the store.
            thread::sleep(PATIENCE / 2);
        }
        if silent.is_empty() { behind } else { silent }
    }
}

/// The key of a rank's answer.
fn answer(rank: usize) -> CString {
    CString::new(format!("nac/roll-call/{rank}")).unwrap_or_default()
}

/// Starts a thread that answers one call, and ends with the group.
fn answer_calls(handle: Weak<Handle>, operation: Arc<AtomicU64>, rank: usize) {
    let key = answer(rank);
    let work = move || {
        loop {
            thread::sleep(INTERVAL);
            let Some(handle) = handle.upgrade() else {
                return;
            };
            match handle.get(CALL) {
                Ok(None) => {}
                Ok(Some(_)) => {
                    let _ = handle.set(&key, operation.load(Ordering::SeqCst));
                    return;
                }
                Err(_) => return,
            }
        }
    };
    // Without the thread this rank is named as one that does not answer, nothing worse.
    let _ = thread::Builder::new()
        .name("nac-dist roll call".into())
        .spawn(work);
}
