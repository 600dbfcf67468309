//! [`Environment`]: the place of a process among its group.

use std::net::TcpListener;
use std::sync::Arc;

/// Who started the processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// [`Launcher`](crate::Launcher), whose process id this is.
    Launcher(u32),
    /// `torchrun`, or whatever else sets `RANK` and `WORLD_SIZE`.
    Torchrun,
    /// `srun`.
    Slurm,
}

/// The store by which processes find each other. Its traffic is neither encrypted nor authenticated.
#[derive(Debug, Clone)]
pub struct Store {
    /// Host of the store, which rank 0 listens on if it serves the store.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Prefix of all keys: processes that were started again do not see those of earlier ones.
    pub prefix: String,
    /// Whether a process outside the group serves the store.
    pub elsewhere: bool,
    /// The listening socket, if rank 0 got one.
    pub socket: Option<Arc<TcpListener>>,
}

impl Store {
    /// Whether the store is on loopback.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.host == "localhost" || self.host == "::1" || self.host.starts_with("127.")
    }
}

/// Which rank of how many this process is, and where the others meet.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Number of this process.
    pub rank: usize,
    /// Number of processes.
    pub size: usize,
    /// Number of this process on its machine.
    pub local_rank: usize,
    /// Number of processes on this machine.
    pub local_size: usize,
    /// Where they meet.
    pub store: Store,
    /// Who started them.
    pub source: Source,
}

impl Environment {
    /// Whether this process serves the store.
    #[must_use]
    pub fn serves_store(&self) -> bool {
        self.rank == 0 && !self.store.elsewhere
    }

    /// Whether all processes are on this machine.
    #[must_use]
    pub fn is_one_machine(&self) -> bool {
        self.local_size == self.size
    }
}
