//! [`Environment`]: which rank of how many this process is, and where the others meet.

mod place;
mod slurm;
mod variables;

use std::net::TcpListener;
use std::sync::Arc;

pub use self::place::{Environment, Source, Store};
use self::variables::{number, optional, required};
use crate::error::{DistError, Result};

/// Set by [`Launcher`](crate::Launcher) for the processes that it starts: its own process id.
pub(crate) const LAUNCHER: &str = "NAC_LAUNCHER";

impl Environment {
    /// What the variables of this process say; nothing if it was started alone.
    ///
    /// `RANK`, `WORLD_SIZE`, `LOCAL_RANK`, `LOCAL_WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT` are as `torchrun` sets
    /// them. With `TORCHELASTIC_USE_AGENT_STORE=True` the agent serves the store, and keys are prefixed by
    /// `TORCHELASTIC_RESTART_COUNT`. Otherwise `SLURM_PROCID` and what else `srun` sets.
    ///
    /// # Errors
    /// [`DistError::Setting`]: a variable is missing, no number, or out of range.
    pub fn discover() -> Result<Option<Self>> {
        let found = Self::from_variables(|name| std::env::var(name).ok())?;
        Ok(found.map(|mut environment| {
            if let (Source::Launcher(_), 0) = (environment.source, environment.rank) {
                environment.store.socket = inherited_socket().map(Arc::new);
            }
            environment
        }))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let found = if variable("RANK").is_some() && variable("WORLD_SIZE").is_some() {
            Some(torchrun(&variable)?)
        } else {
            slurm::environment(&variable)?
        };
        if let Some(environment) = &found {
            let (rank, size) = (environment.rank, environment.size);
            if rank >= size {
                let reason = format!("there are {size} processes, numbered from 0");
                return Err(DistError::setting("rank", rank, reason));
            }
        }
        Ok(found)
    }
}

fn torchrun(variable: &impl Fn(&str) -> Option<String>) -> Result<Environment> {
    let size = number(variable, "WORLD_SIZE")?;
    let elsewhere = variable("TORCHELASTIC_USE_AGENT_STORE").as_deref() == Some("True");
    let restarts = variable("TORCHELASTIC_RESTART_COUNT").unwrap_or_else(|| "0".into());
    let source = match variable(LAUNCHER).and_then(|id| id.parse().ok()) {
        Some(id) => Source::Launcher(id),
        None => Source::Torchrun,
    };
    Ok(Environment {
        rank: number(variable, "RANK")?,
        size,
        local_rank: optional(variable, "LOCAL_RANK")?.unwrap_or(0),
        // Not known to be on this machine, if nobody says so.
        local_size: optional(variable, "LOCAL_WORLD_SIZE")?.unwrap_or(1),
        store: Store {
            host: required(variable, "MASTER_ADDR")?,
            port: number(variable, "MASTER_PORT")?,
            prefix: format!("nac/{restarts}"),
            elsewhere,
            socket: None,
        },
        source,
    })
}

/// The socket that the launcher put in the place of standard input.
#[cfg(unix)]
fn inherited_socket() -> Option<TcpListener> {
    use std::os::fd::AsFd;
    let socket = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
    let listener = TcpListener::from(socket);
    // Fails on anything that is no socket.
    listener.local_addr().ok().map(|_| listener)
}

#[cfg(not(unix))]
fn inherited_socket() -> Option<TcpListener> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(set: &[(&str, &str)]) -> Result<Option<Environment>> {
        Environment::from_variables(|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    const TORCHRUN: [(&str, &str); 6] = [
        ("RANK", "1"),
        ("WORLD_SIZE", "2"),
        ("LOCAL_RANK", "1"),
        ("LOCAL_WORLD_SIZE", "2"),
        ("MASTER_ADDR", "localhost"),
        ("MASTER_PORT", "29500"),
    ];

    #[test]
    fn a_process_that_was_started_alone_has_none() {
        assert!(found(&[]).unwrap().is_none());
        assert!(found(&[("RANK", "0")]).unwrap().is_none());
    }

    #[test]
    fn torchrun_and_its_agent() {
        let first = found(&TORCHRUN).unwrap().unwrap();
        assert_eq!((first.rank, first.size, first.local_rank), (1, 2, 1));
        assert!(first.store.is_local() && first.is_one_machine());
        assert!(first.source == Source::Torchrun && !first.store.elsewhere);

        let mut set = TORCHRUN.to_vec();
        set[0] = ("RANK", "0");
        assert!(found(&set).unwrap().unwrap().serves_store());
        set.push(("TORCHELASTIC_USE_AGENT_STORE", "True"));
        set.push(("TORCHELASTIC_RESTART_COUNT", "3"));
        let agent = found(&set).unwrap().unwrap();
        assert!(!agent.serves_store());
        assert_eq!(agent.store.prefix, "nac/3");
        set.push((LAUNCHER, "77"));
        assert_eq!(found(&set).unwrap().unwrap().source, Source::Launcher(77));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (index, value, part) in [
            (0, "2", "there are 2 processes"),
            (0, "-1", "RANK"),
            (1, "two", "WORLD_SIZE"),
            (4, "", "MASTER_ADDR"),
            (5, "70000", "MASTER_PORT"),
        ] {
            let mut set = TORCHRUN.to_vec();
            set[index].1 = value;
            let error = found(&set).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
