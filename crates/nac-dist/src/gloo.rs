//! [`Gloo`]: libtorch's `ProcessGroupGloo`, over TCP.

use std::ffi::c_int;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tch::{Device, Kind, Tensor};

use crate::environment::{Environment, Store};
use crate::error::{DistError, Result};
use crate::ffi::{Handle, Join};
use crate::group::Group;
use crate::roll_call::RollCall;

/// How to join a group.
#[derive(Debug, Clone)]
pub struct GlooOptions {
    /// How long an operation waits for the other ranks. Default 120 s.
    pub timeout: Duration,
    /// Names of the network interfaces to listen on. Default none: loopback if the store's host is, else where the
    /// name of this machine leads.
    pub interfaces: Vec<String>,
}

impl Default for GlooOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            interfaces: Vec::new(),
        }
    }
}

impl GlooOptions {
    /// Takes the interfaces from `GLOO_SOCKET_IFNAME`, names that commas separate, as PyTorch does.
    #[must_use]
    pub fn interfaces_from_environment(mut self) -> Self {
        let names = std::env::var("GLOO_SOCKET_IFNAME").unwrap_or_default();
        let names = names.split(',').map(str::trim);
        self.interfaces = names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        self
    }
}

/// Processes that libtorch's `ProcessGroupGloo` connects. Tensors are on the CPU.
pub struct Gloo {
    rank: usize,
    size: usize,
    handle: Arc<Handle>,
    roll_call: RollCall,
}

impl fmt::Debug for Gloo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gloo")
            .field("rank", &self.rank)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Gloo {
    /// Joins the other processes of `environment`; waits for them.
    ///
    /// # Errors
    /// [`DistError::Join`]: not all of them came before the timeout, or there is no such host, port or interface.
    pub fn join(environment: &Environment, options: &GlooOptions) -> Result<Self> {
        let (rank, size) = (environment.rank, environment.size);
        let store = &environment.store;
        let failed = |reason: String| DistError::Join {
            rank,
            size,
            store: format!("{}:{}", store.host, store.port),
            reason,
        };
        let socket = listen(environment).map_err(|error| failed(error.to_string()))?;
        let join = Join {
            host: &store.host,
            port: store.port,
            prefix: &store.prefix,
            interfaces: &options.interfaces.join(","),
            address: if environment.is_one_machine() {
                "127.0.0.1"
            } else {
                ""
            },
            timeout: options.timeout,
            rank,
            size,
            serve: environment.serves_store(),
            socket,
        };
        let handle = Arc::new(Handle::join(join).map_err(failed)?);
        Ok(Self {
            rank,
            size,
            roll_call: RollCall::new(handle.clone(), environment),
            handle,
        })
    }

    fn run(
        &self,
        during: &'static str,
        operation: impl FnOnce(&Handle) -> std::result::Result<(), String>,
    ) -> Result<()> {
        self.roll_call.next_operation();
        operation(&self.handle).map_err(|reason| {
            // Those that wait for this rank see at once that something is wrong.
            self.handle.disconnect();
            DistError::Lost {
                rank: self.rank,
                lost: self.roll_call.missing(),
                during,
                reason: short(&reason),
            }
        })
    }
}

/// The socket of the store, if this process serves it: bound to loopback unless the store is for other machines.
fn listen(environment: &Environment) -> std::io::Result<Option<OwnedFd>> {
    let store: &Store = &environment.store;
    match (environment.serves_store(), &store.socket) {
        (false, _) => Ok(None),
        (true, Some(socket)) => Ok(Some(socket.try_clone()?.into())),
        (true, None) => {
            let host = if store.is_local() {
                "127.0.0.1"
            } else {
                store.host.as_str()
            };
            Ok(Some(
                std::net::TcpListener::bind((host, store.port))?.into(),
            ))
        }
    }
}

/// The reason without the place in libtorch's sources that comes first, and in one line.
fn short(reason: &str) -> String {
    let text = match reason
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    {
        Some((place, text)) if place.contains(".cc:") => text,
        _ => reason,
    };
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn require(during: &'static str, tensor: &Tensor) -> Result<()> {
    if tensor.defined() && tensor.device() == Device::Cpu && tensor.is_contiguous() {
        return Ok(());
    }
    let found = format!("{tensor:?}");
    Err(DistError::Tensor { during, found })
}

impl Group for Gloo {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn broadcast(&self, tensor: &mut Tensor, root: usize) -> Result<()> {
        require("broadcast", tensor)?;
        let root = c_int::try_from(root)
            .ok()
            .filter(|_| root < self.size)
            .ok_or_else(|| DistError::setting("root", root, "there is no such rank"))?;
        self.run("broadcast", |handle| handle.broadcast(tensor, root))
    }

    fn all_reduce(&self, tensor: &mut Tensor) -> Result<()> {
        require("all-reduce", tensor)?;
        self.run("all-reduce", |handle| handle.all_reduce(tensor))
    }

    fn all_reduce_bf16(&self, tensor: &mut Tensor) -> Result<()> {
        require("all-reduce in bfloat16", tensor)?;
        if tensor.kind() != Kind::Float || tensor.dim() != 1 {
            let found = format!("{tensor:?}, not float32 with one axis");
            let during = "all-reduce in bfloat16";
            return Err(DistError::Tensor { during, found });
        }
        self.run("all-reduce in bfloat16", |handle| {
            handle.all_reduce_bf16(tensor)
        })
    }

    fn gather(&self, tensor: &Tensor) -> Result<Tensor> {
        require("gather", tensor)?;
        let count = tensor.numel() as i64;
        let mut input = tensor.f_view([count])?;
        let mut all = Tensor::f_empty([self.size as i64 * count], (tensor.kind(), Device::Cpu))?;
        self.run("gather", |handle| handle.all_gather(&mut all, &mut input))?;
        Ok(all.f_view([self.size as i64, count])?)
    }

    fn barrier(&self, timeout: Duration) -> Result<()> {
        self.run("barrier", |handle| handle.barrier(timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_lose_the_place_in_the_sources() {
        let place = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:9";
        assert_eq!(short(place), "Connection closed by peer [127.0.0.1]:9");
        assert_eq!(short("[a] b\nc"), "[a] b");
        assert_eq!(short(""), "");
    }
}
