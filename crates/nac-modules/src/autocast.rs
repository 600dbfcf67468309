//! libtorch's autocast to bfloat16: matrix products and convolutions of a pass in bfloat16, weights in single precision.
//!
//! `tch::autocast` switches autocast on for CUDA only and leaves its type at float16, which needs loss scaling. The
//! functions that choose device and type are exported by libtorch but not by `tch`; they are looked up by name.
//! Source: <https://docs.pytorch.org/docs/2.11/amp.html>.

use std::cell::Cell;

use tch::Device;

use crate::error::{ModuleError, Result};

thread_local! {
    /// Device type for which this thread runs under autocast.
    static ACTIVE: Cell<Option<i8>> = const { Cell::new(None) };
}

/// Runs `pass` under autocast to bfloat16 on `device`. The backward pass of what it computes belongs outside.
///
/// # Errors
/// This libtorch does not export what switches autocast, or `pass` fails.
pub fn autocast_bf16<T>(device: Device, pass: impl FnOnce() -> Result<T>) -> Result<T> {
    let of_device = match device {
        Device::Cpu => CPU,
        Device::Cuda(_) => CUDA,
        other => {
            return Err(ModuleError::Device {
                device: format!("{other:?}"),
                reason: "precision = \"mixed\" is for cpu and cuda".into(),
            });
        }
    };
    let _scope = Scope::enter(Switches::find()?, of_device, true);
    pass()
}

/// Runs `work` without autocast, for what must stay in single precision.
pub(crate) fn single_precision<T>(work: impl FnOnce() -> T) -> T {
    let scope = match ACTIVE.get() {
        Some(of_device) => Switches::find().map(|s| Scope::enter(s, of_device, false)),
        None => return work(),
    };
    let result = work();
    drop(scope);
    result
}

/// `c10::DeviceType::CPU`.
const CPU: i8 = 0;
/// `c10::DeviceType::CUDA`.
const CUDA: i8 = 1;
/// `c10::ScalarType::BFloat16`.
const BFLOAT16: i8 = 15;

/// libtorch's functions of `at::autocast`.
#[derive(Debug, Clone, Copy)]
struct Switches {
    set_dtype: extern "C" fn(i8, i8),
    set_enabled: extern "C" fn(i8, bool),
    enter: extern "C" fn() -> i32,
    leave: extern "C" fn() -> i32,
    clear_cache: extern "C" fn(),
}

impl Switches {
    #[cfg(unix)]
    fn find() -> Result<Self> {
        use libloading::os::unix::Library;
        let this = Library::this();
        let missing = |error: libloading::Error| ModuleError::Device {
            device: "autocast".into(),
            reason: format!("this libtorch cannot be switched to bfloat16: {error}"),
        };
        // SAFETY: the names are the Itanium-mangled names of these functions, which fix namespace, name and
        // parameters: `void set_autocast_dtype(c10::DeviceType, c10::ScalarType)`, `void set_autocast_enabled(
        // c10::DeviceType, bool)`, `int increment_nesting()`, `int decrement_nesting()`, `void clear_cache()`. Both
        // enums are `int8_t`, so arguments and results pass as in C. They set variables of the calling thread and
        // throw only for device types without autocast, which are not passed. libtorch stays loaded while the
        // process runs, so the pointers outlive the `Library`.
        #[allow(unsafe_code)]
        unsafe {
            Ok(Self {
                set_dtype: *this
                    .get(
                        b"_ZN2at8autocast18set_autocast_dtypeEN3c1010DeviceTypeENS1_10ScalarTypeE\0",
                    )
                    .map_err(missing)?,
                set_enabled: *this
                    .get(b"_ZN2at8autocast20set_autocast_enabledEN3c1010DeviceTypeEb\0")
                    .map_err(missing)?,
                enter: *this
                    .get(b"_ZN2at8autocast17increment_nestingEv\0")
                    .map_err(missing)?,
                leave: *this
                    .get(b"_ZN2at8autocast17decrement_nestingEv\0")
                    .map_err(missing)?,
                clear_cache: *this
                    .get(b"_ZN2at8autocast11clear_cacheEv\0")
                    .map_err(missing)?,
            })
        }
    }

    #[cfg(not(unix))]
    fn find() -> Result<Self> {
        Err(ModuleError::Device {
            device: "autocast".into(),
            reason: "precision = \"mixed\" of libtorch's layers needs Linux or macOS".into(),
        })
    }
}

/// Autocast on or off until dropped.
struct Scope {
    switches: Switches,
    of_device: i8,
    before: Option<i8>,
}

impl Scope {
    fn enter(switches: Switches, of_device: i8, on: bool) -> Self {
        let before = ACTIVE.replace(on.then_some(of_device));
        (switches.set_dtype)(of_device, BFLOAT16);
        (switches.set_enabled)(of_device, on);
        let _ = (switches.enter)();
        Self {
            switches,
            of_device,
            before,
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if (self.switches.leave)() == 0 {
            (self.switches.clear_cache)();
        }
        (self.switches.set_enabled)(self.of_device, self.before == Some(self.of_device));
        ACTIVE.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    #[test]
    fn products_are_in_bfloat16_inside_and_gradients_in_single_precision() {
        let x = Tensor::rand([8, 8], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let (inside, exact) = autocast_bf16(Device::Cpu, || {
            let exact = single_precision(|| x.matmul(&x));
            Ok((x.matmul(&x), exact))
        })
        .unwrap();
        assert_eq!((inside.kind(), exact.kind()), (Kind::BFloat16, Kind::Float));
        assert_eq!(x.matmul(&x).kind(), Kind::Float);
        let error = (inside.to_kind(Kind::Float) - exact).abs().max();
        let error = error.double_value(&[]);
        assert!(error > 0.0 && error < 0.05, "{error}");
        inside.sum(Kind::Float).backward();
        assert_eq!(x.grad().kind(), Kind::Float);
        let failed = autocast_bf16(Device::Cpu, || {
            Ok(x.f_matmul(&Tensor::zeros([3], (Kind::Float, Device::Cpu)))?)
        });
        assert!(failed.is_err());
        assert_eq!(x.matmul(&x).kind(), Kind::Float);
    }
}
