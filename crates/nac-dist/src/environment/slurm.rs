//! What `srun` sets for each task of a step.

use super::place::{Environment, Source, Store};
use super::variables::{optional, parse};
use crate::error::{DistError, Result};

/// Ports for jobs that set none, by the job's number.
const PORTS: std::ops::Range<u64> = 20_000..30_000;

/// The environment of a task; nothing outside a step, or in a step of one task. A batch script is no task: it has
/// `SLURM_PROCID` and `SLURM_NTASKS` too, but nothing of a step.
pub(super) fn environment(
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<Option<Environment>> {
    let (Some(rank), Some(size)) = (
        optional(variable, "SLURM_PROCID")?,
        optional::<usize>(variable, "SLURM_STEP_NUM_TASKS")?,
    ) else {
        return Ok(None);
    };
    if size < 2 {
        return Ok(None);
    }
    let nodes: usize = optional(variable, "SLURM_STEP_NUM_NODES")?.unwrap_or(1);
    let host = match variable("MASTER_ADDR").filter(|host| !host.is_empty()) {
        Some(host) => host,
        None if nodes == 1 => "127.0.0.1".into(),
        None => {
            let list = variable("SLURM_STEP_NODELIST").unwrap_or_default();
            first_host(&list).ok_or_else(|| {
                let reason = "names no host; set MASTER_ADDR to the first node";
                DistError::setting("SLURM_STEP_NODELIST", list, reason)
            })?
        }
    };
    let port = match variable("MASTER_PORT") {
        Some(text) => parse("MASTER_PORT", &text)?,
        None => default_port(variable)?,
    };
    let restarts = variable("SLURM_RESTART_COUNT").unwrap_or_else(|| "0".into());
    Ok(Some(Environment {
        rank,
        size,
        local_rank: optional(variable, "SLURM_LOCALID")?.unwrap_or(0),
        local_size: if nodes == 1 { size } else { 1 },
        store: Store {
            host,
            port,
            prefix: format!("nac/{restarts}"),
            elsewhere: false,
            socket: None,
        },
        source: Source::Slurm,
    }))
}

/// The same for all tasks of a step, and different for jobs and steps that run beside each other.
fn default_port(variable: &impl Fn(&str) -> Option<String>) -> Result<u16> {
    let job: u64 = optional(variable, "SLURM_JOB_ID")?.unwrap_or(0);
    let step: u64 = optional(variable, "SLURM_STEP_ID")?.unwrap_or(0);
    let count = PORTS.end - PORTS.start;
    let port = PORTS.start + (job % count + 97 * (step % count)) % count;
    Ok(u16::try_from(port).unwrap_or(29_500))
}

/// First host of a list such as `a[03-05,9],b`.
fn first_host(list: &str) -> Option<String> {
    let name = list.split(['[', ',']).next()?.trim();
    let rest = &list[name.len().min(list.len())..];
    let number = match rest.trim_start().strip_prefix('[') {
        Some(numbers) => numbers.split(['-', ',', ']']).next()?,
        None => "",
    };
    let suffix = match rest.split_once(']') {
        Some((_, after)) if !number.is_empty() => after.split(',').next()?,
        _ => "",
    };
    let host = format!("{name}{number}{suffix}");
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(set: &[(&str, &str)]) -> Option<Environment> {
        environment(&|name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
        .unwrap()
    }

    #[test]
    fn tasks_of_a_step_and_nothing_else() {
        let batch = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")];
        assert!(found(&batch).is_none());
        let one = [("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "1")];
        assert!(found(&one).is_none());
        let mut set = vec![
            ("SLURM_PROCID", "3"),
            ("SLURM_STEP_NUM_TASKS", "4"),
            ("SLURM_LOCALID", "1"),
            ("SLURM_JOB_ID", "123456"),
            ("SLURM_RESTART_COUNT", "2"),
        ];
        let local = found(&set).unwrap();
        assert!(local.store.is_local() && local.is_one_machine());
        assert_eq!((local.rank, local.size, local.local_rank), (3, 4, 1));
        assert_eq!(
            (local.store.port, local.store.prefix.as_str()),
            (23_456, "nac/2")
        );
        set.push(("SLURM_STEP_NUM_NODES", "2"));
        set.push(("SLURM_STEP_NODELIST", "node[07-08]"));
        let two = found(&set).unwrap();
        assert!(two.store.host == "node07" && !two.is_one_machine());
        set.push(("MASTER_ADDR", "10.0.0.7"));
        set.push(("MASTER_PORT", "4000"));
        let told = found(&set).unwrap().store;
        assert_eq!((told.host.as_str(), told.port), ("10.0.0.7", 4000));
    }

    #[test]
    fn the_first_host_of_a_list() {
        for (list, host) in [
            ("a", Some("a")),
            ("a,b", Some("a")),
            ("a[03-05,9],b", Some("a03")),
            ("a[12]", Some("a12")),
            ("a[1,2]-ib,b[3]", Some("a1-ib")),
            ("", None),
        ] {
            assert_eq!(first_host(list).as_deref(), host, "{list}");
        }
    }
}
