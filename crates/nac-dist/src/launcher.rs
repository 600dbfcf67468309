//! [`Launcher`]: starts the processes of a run on this machine, and waits for them.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::iterator::Signals;

use crate::environment::LAUNCHER;
use crate::error::{DistError, Result};

/// Time between looks at the processes.
const INTERVAL: Duration = Duration::from_millis(20);

/// Starts processes of one program, and starts all of them again if one was lost.
#[derive(Debug, Clone)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Further arguments of processes that are started again.
    pub again: Vec<OsString>,
    /// Number of processes.
    pub processes: usize,
    /// How often they are started again.
    pub restarts: usize,
    /// Signals that are passed on to the processes. After one, they are not started again.
    pub signals: Vec<i32>,
    /// How long the others may go on after one failed, before they are killed.
    pub grace: Duration,
}

/// How the processes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All of them with success.
    Success,
    /// Rank and exit code of the first that reported an error of its own.
    Failed(usize, u8),
    /// This rank was lost: killed by a signal, or it lost another.
    Lost(usize),
}

impl Launcher {
    /// Exit code of a process that lost another, or was told that it may be started again.
    pub const LOST: u8 = 75;

    /// Starts the processes and waits for them; `note` is told when they are started again. Processes form groups of their own, so that a terminal's Ctrl-C reaches them once, from here.
    ///
    /// # Errors
    /// A process cannot be started, or a signal cannot be handled.
    pub fn run(&self, note: impl Fn(String)) -> Result<Ended> {
        let arriving = Signals::new(&self.signals);
        let mut arriving = arriving.map_err(DistError::process("handle signals"))?;
        let mut attempt = 0;
        loop {
            let mut stopping = false;
            let ended = self.attempt(attempt, &mut || {
                let passed: Vec<i32> = arriving.pending().collect();
                stopping |= !passed.is_empty();
                passed
            })?;
            match ended {
                Ended::Lost(rank) if attempt < self.restarts && !stopping => {
                    attempt += 1;
                    note(format!(
                        "rank {rank} was lost; starting {} processes again ({attempt} of {})",
                        self.processes, self.restarts
                    ));
                }
                _ => return Ok(ended),
            }
        }
    }

    fn attempt(&self, attempt: usize, signals: &mut dyn FnMut() -> Vec<i32>) -> Result<Ended> {
        let mut running = Running(self.start(attempt)?);
        let mut ends: Vec<Option<ExitStatus>> = vec![None; self.processes];
        let mut failed: Option<Instant> = None;
        while ends.iter().any(Option::is_none) {
            for signal in signals() {
                running.signal(signal);
            }
            for (child, end) in running.0.iter_mut().zip(&mut ends) {
                if end.is_none() {
                    *end = child.try_wait().map_err(DistError::process("wait"))?;
                    let unsuccessful = end.is_some_and(|end| !end.success());
                    failed = failed.or_else(|| unsuccessful.then(Instant::now));
                }
            }
            if failed.is_some_and(|since| since.elapsed() > self.grace) {
                running.kill();
            }
            thread::sleep(INTERVAL);
        }
        Ok(summary(&ends))
    }

    fn start(&self, attempt: usize) -> Result<Vec<Child>> {
        let listener = TcpListener::bind(("127.0.0.1", 0));
        let listener = listener.map_err(DistError::process("listen on 127.0.0.1"))?;
        let address = listener.local_addr();
        let port = address
            .map_err(DistError::process("listen on 127.0.0.1"))?
            .port();
        let mut socket = Some(Stdio::from(OwnedFd::from(listener)));
        let mut running = Running(Vec::with_capacity(self.processes));
        for rank in 0..self.processes {
            let mut command = Command::new(&self.program);
            command.args(&self.arguments);
            if attempt > 0 {
                command.args(&self.again);
            }
            let count = self.processes.to_string();
            command
                .env("RANK", rank.to_string())
                .env("LOCAL_RANK", rank.to_string())
                .env("WORLD_SIZE", &count)
                .env("LOCAL_WORLD_SIZE", &count)
                .env("MASTER_ADDR", "127.0.0.1")
                .env("MASTER_PORT", port.to_string())
                .env("TORCHELASTIC_RESTART_COUNT", attempt.to_string())
                .env_remove("TORCHELASTIC_USE_AGENT_STORE")
                .env(LAUNCHER, std::process::id().to_string())
                // Rank 0 gets the socket of the store, so that no other program can take its port.
                .stdin(socket.take().unwrap_or_else(Stdio::null))
                .process_group(0);
            let action = format!("start {}", self.program.display());
            running
                .0
                .push(command.spawn().map_err(DistError::process(action))?);
        }
        Ok(std::mem::take(&mut running.0))
    }
}

/// Processes that do not outlive this one's interest in them.
struct Running(Vec<Child>);

impl Running {
    fn signal(&self, signal: i32) {
        let Some(signal) = rustix::process::Signal::from_named_raw(signal) else {
            return;
        };
        for child in &self.0 {
            if let Some(id) = i32::try_from(child.id())
                .ok()
                .and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process(id, signal);
            }
        }
    }

    fn kill(&mut self) {
        for child in &mut self.0 {
            // Has no effect on one that has ended.
            let _ = child.kill();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}

/// A rank that reported an error of its own is the reason that the others were lost; a killed one is, before those that
/// lost it.
fn summary(ends: &[Option<ExitStatus>]) -> Ended {
    let ends = || {
        ends.iter()
            .enumerate()
            .filter_map(|(rank, end)| Some((rank, (*end)?)))
    };
    let code = |end: ExitStatus| end.code().and_then(|code| u8::try_from(code).ok());
    let own_error = |(rank, end): (usize, ExitStatus)| match code(end) {
        None | Some(0 | Launcher::LOST) => None,
        Some(code) => Some(Ended::Failed(rank, code)),
    };
    let killed = |(rank, end): (usize, ExitStatus)| end.signal().map(|_| Ended::Lost(rank));
    let lost = |(rank, end): (usize, ExitStatus)| (!end.success()).then_some(Ended::Lost(rank));
    ends()
        .find_map(own_error)
        .or_else(|| ends().find_map(killed))
        .or_else(|| ends().find_map(lost))
        .unwrap_or(Ended::Success)
}
