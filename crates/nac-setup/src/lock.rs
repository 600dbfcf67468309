//! One set-up at a time: a lock on a file in the cache. The system gives it back when a process dies.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::SetupError;

/// Held while this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Takes the lock; calls `waiting` once if another process or thread has it.
pub(crate) fn take(path: &Path, waiting: impl FnOnce()) -> Result<Lock, SetupError> {
    let failed = |source| SetupError::Lock {
        path: path.to_path_buf(),
        source,
    };
    let file = fs_err::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)?;
    let file = file.into_parts().0;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            waiting();
            file.lock().map_err(failed)?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(failed(error));
        }
    }
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    #[test]
    fn the_second_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let first = take(&path, || panic!("the lock is free")).unwrap();
        let (told, waits) = std::sync::mpsc::channel();
        let free = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let _lock = take(&path, || told.send(()).unwrap()).unwrap();
                free.load(SeqCst)
            });
            waits.recv().unwrap();
            free.store(true, SeqCst);
            drop(first);
            assert!(
                second.join().unwrap(),
                "the second came in before the first left"
            );
        });
    }

    #[test]
    fn the_file_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = take(&dir.path().join("no/.lock"), || {}).unwrap_err();
        assert!(error.to_string().contains(".lock"), "{error}");
    }
}
