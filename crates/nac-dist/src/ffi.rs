//! The functions of `cpp/shim.h`, each behind one that is safe to call.

#![allow(
    unsafe_code,
    reason = "calls C++; each block says why its arguments are valid"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::{IntoRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tch::Tensor;

#[repr(C)]
struct RawGroup {
    _private: [u8; 0],
}

#[repr(C)]
struct RawError {
    message: *mut c_char,
    capacity: usize,
}

/// `nac_dist_options`.
#[repr(C)]
struct RawOptions {
    host: *const c_char,
    prefix: *const c_char,
    interfaces: *const c_char,
    address: *const c_char,
    timeout_ms: i64,
    rank: c_int,
    size: c_int,
    serve: c_int,
    listen_fd: c_int,
    port: u16,
}

unsafe extern "C" {
    fn nac_dist_join(o: *const RawOptions, group: *mut *mut RawGroup, error: RawError) -> c_int;
    fn nac_dist_broadcast(
        group: *mut RawGroup,
        tensor: *mut c_void,
        root: c_int,
        error: RawError,
    ) -> c_int;
    fn nac_dist_all_reduce(group: *mut RawGroup, tensor: *mut c_void, error: RawError) -> c_int;
    fn nac_dist_all_reduce_bf16(
        group: *mut RawGroup,
        tensor: *mut c_void,
        error: RawError,
    ) -> c_int;
    fn nac_dist_all_gather(
        group: *mut RawGroup,
        output: *mut c_void,
        input: *mut c_void,
        error: RawError,
    ) -> c_int;
    fn nac_dist_barrier(group: *mut RawGroup, timeout_ms: i64, error: RawError) -> c_int;
    fn nac_dist_disconnect(group: *mut RawGroup);
    fn nac_dist_set(group: *mut RawGroup, key: *const c_char, value: u64, error: RawError)
    -> c_int;
    fn nac_dist_get(
        group: *mut RawGroup,
        key: *const c_char,
        found: *mut c_int,
        value: *mut u64,
        error: RawError,
    ) -> c_int;
    fn nac_dist_leave(group: *mut RawGroup);
}

/// How a process joins a group.
pub(crate) struct Join<'a> {
    /// Host of the store.
    pub(crate) host: &'a str,
    /// Port of the store.
    pub(crate) port: u16,
    /// Prefix of the store's keys.
    pub(crate) prefix: &'a str,
    /// Names of interfaces, separated by commas; or empty.
    pub(crate) interfaces: &'a str,
    /// Where this process listens if there are no interfaces; empty: where the name of this machine leads.
    pub(crate) address: &'a str,
    pub(crate) timeout: Duration,
    pub(crate) rank: usize,
    pub(crate) size: usize,
    /// Whether this process serves the store.
    pub(crate) serve: bool,
    /// A listening socket for the store, which takes it over.
    pub(crate) socket: Option<OwnedFd>,
}

/// A joined group: the connections to the other ranks, and the store.
///
/// Store operations may be called from any thread at any time; the others are called by one thread at a time.
pub(crate) struct Handle {
    group: NonNull<RawGroup>,
    /// Held by every operation that is not the store's.
    one_at_a_time: Mutex<()>,
}

// SAFETY: libtorch's objects are not bound to a thread.
unsafe impl Send for Handle {}
// SAFETY: the store's client locks; all other operations run under `one_at_a_time`, and only they touch the group.
unsafe impl Sync for Handle {}

impl Handle {
    pub(crate) fn join(join: Join<'_>) -> Result<Self, String> {
        let text = |text: &str| CString::new(text).map_err(|error| error.to_string());
        let (host, prefix) = (text(join.host)?, text(join.prefix)?);
        let (interfaces, address) = (text(join.interfaces)?, text(join.address)?);
        let number = |n: usize| c_int::try_from(n).map_err(|error| error.to_string());
        let options = RawOptions {
            host: host.as_ptr(),
            prefix: prefix.as_ptr(),
            interfaces: interfaces.as_ptr(),
            address: address.as_ptr(),
            timeout_ms: milliseconds(join.timeout),
            rank: number(join.rank)?,
            size: number(join.size)?,
            serve: c_int::from(join.serve),
            listen_fd: join.socket.map_or(-1, IntoRawFd::into_raw_fd),
            port: join.port,
        };
        let mut group = ptr::null_mut();
        // SAFETY: the texts outlive the call, which copies what it keeps; the socket is handed over.
        call(|error| unsafe { nac_dist_join(&raw const options, &raw mut group, error) })?;
        let group = NonNull::new(group).ok_or("no group was made")?;
        Ok(Self {
            group,
            one_at_a_time: Mutex::new(()),
        })
    }

    pub(crate) fn broadcast(&self, tensor: &mut Tensor, root: c_int) -> Result<(), String> {
        let (_guard, tensor) = (self.guard(), tensor.as_mut_ptr().cast());
        // SAFETY: the group lives as long as `self`; `tensor` is a tensor that nobody else uses during the call.
        call(|error| unsafe { nac_dist_broadcast(self.group.as_ptr(), tensor, root, error) })
    }

    pub(crate) fn all_reduce(&self, tensor: &mut Tensor) -> Result<(), String> {
        let (_guard, tensor) = (self.guard(), tensor.as_mut_ptr().cast());
        // SAFETY: as in `broadcast`.
        call(|error| unsafe { nac_dist_all_reduce(self.group.as_ptr(), tensor, error) })
    }

    pub(crate) fn all_reduce_bf16(&self, tensor: &mut Tensor) -> Result<(), String> {
        let (_guard, tensor) = (self.guard(), tensor.as_mut_ptr().cast());
        // SAFETY: as in `broadcast`.
        call(|error| unsafe { nac_dist_all_reduce_bf16(self.group.as_ptr(), tensor, error) })
    }

    pub(crate) fn all_gather(&self, output: &mut Tensor, input: &mut Tensor) -> Result<(), String> {
        let (_guard, output) = (self.guard(), output.as_mut_ptr().cast());
        let input = input.as_mut_ptr().cast();
        // SAFETY: as in `broadcast`, for both tensors.
        call(|error| unsafe { nac_dist_all_gather(self.group.as_ptr(), output, input, error) })
    }

    pub(crate) fn barrier(&self, timeout: Duration) -> Result<(), String> {
        let (_guard, timeout) = (self.guard(), milliseconds(timeout));
        // SAFETY: the group lives as long as `self`.
        call(|error| unsafe { nac_dist_barrier(self.group.as_ptr(), timeout, error) })
    }

    /// Closes the connections to the other ranks; the store stays.
    pub(crate) fn disconnect(&self) {
        let _guard = self.guard();
        // SAFETY: the group lives as long as `self`.
        unsafe { nac_dist_disconnect(self.group.as_ptr()) }
    }

    /// Puts a number into the store.
    pub(crate) fn set(&self, key: &CStr, value: u64) -> Result<(), String> {
        // SAFETY: the group lives as long as `self`, the key as long as the call.
        call(|error| unsafe { nac_dist_set(self.group.as_ptr(), key.as_ptr(), value, error) })
    }

    /// A number of the store, if it is there.
    pub(crate) fn get(&self, key: &CStr) -> Result<Option<u64>, String> {
        let (group, key) = (self.group.as_ptr(), key.as_ptr());
        let (mut found, mut value) = (0, 0);
        // SAFETY: as in `set`; both results are written before the call ends.
        call(|error| unsafe { nac_dist_get(group, key, &raw mut found, &raw mut value, error) })?;
        Ok((found != 0).then_some(value))
    }

    fn guard(&self) -> MutexGuard<'_, ()> {
        self.one_at_a_time
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: made by `nac_dist_join`, and not used after this.
        unsafe { nac_dist_leave(self.group.as_ptr()) }
    }
}

/// Calls a function of the shim; what it says if it fails.
fn call(function: impl FnOnce(RawError) -> c_int) -> Result<(), String> {
    let mut message = vec![0_u8; 4096];
    let error = RawError {
        message: message.as_mut_ptr().cast(),
        capacity: message.len(),
    };
    if function(error) == 0 {
        return Ok(());
    }
    let end = message.iter().position(|byte| *byte == 0).unwrap_or(0);
    message.truncate(end);
    Err(String::from_utf8_lossy(&message).trim().to_owned())
}

fn milliseconds(time: Duration) -> i64 {
    // Not below one: libtorch takes 0 for no limit, and less for a limit that has passed.
    i64::try_from(time.as_millis())
        .unwrap_or(i64::MAX / 2_000_000)
        .clamp(1, i64::MAX / 2_000_000)
}
