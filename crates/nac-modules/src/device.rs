//! Choosing the device, and switching CUDA on at run time.
//!
//! The CPU build of libtorch and the CUDA build differ by libraries that register themselves when they are
//! loaded. Loading `libtorch_cuda.so` by name therefore turns a program that was linked without it into one
//! that sees the GPU, and one binary serves both kinds of machine.

use tch::{Cuda, Device};

use crate::error::{ModuleError, Result};

/// The device a user asks for: `cpu`, `cuda`, `cuda:<index>`, or `auto` (CUDA if it works, else CPU).
///
/// # Errors
/// The name is unknown, or CUDA was asked for and cannot be used; the message says why.
pub fn open_device(name: &str) -> Result<Device> {
    let refuse = |reason: String| {
        Err(ModuleError::Device {
            device: name.to_owned(),
            reason,
        })
    };
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" => {
            return Ok(if enable_cuda().is_ok() {
                Device::Cuda(0)
            } else {
                Device::Cpu
            });
        }
        "cuda" => 0,
        other => match other.strip_prefix("cuda:").map(str::parse::<usize>) {
            Some(Ok(index)) => index,
            _ => return refuse("use cpu, cuda, cuda:<index> or auto".into()),
        },
    };
    if let Err(reason) = enable_cuda() {
        return refuse(reason);
    }
    let count = usize::try_from(Cuda::device_count()).unwrap_or(0);
    if index >= count {
        return refuse(format!("there are {count} CUDA devices"));
    }
    Ok(Device::Cuda(index))
}

/// Makes CUDA available, or says why it is not.
fn enable_cuda() -> std::result::Result<(), String> {
    if Cuda::is_available() {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
        // SAFETY: loading runs the library's initialisers. This is libtorch's own CUDA half, made to be loaded
        // into a process that holds the CPU half of the same version (the dynamic loader refuses another one for
        // want of symbols); its initialisers only register kernels. We look up no symbol and never unload it.
        #[allow(unsafe_code)]
        let loaded = unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) };
        match loaded {
            Ok(library) => std::mem::forget(library),
            Err(error) => {
                return Err(format!(
                    "libtorch_cuda.so cannot be loaded ({error}); this libtorch has no CUDA half. \
                     On a machine with an NVIDIA driver run `nac-setup --cuda`, or `pip install torch==2.11.0`"
                ));
            }
        }
    }
    if Cuda::is_available() {
        Ok(())
    } else {
        Err(
            "libtorch's CUDA half is loaded but finds no usable GPU; check that `nvidia-smi` works"
                .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_refused_and_cpu_always_works() {
        assert_eq!(open_device("cpu").unwrap(), Device::Cpu);
        for name in ["gpu", "cuda:x", ""] {
            let error = open_device(name).unwrap_err().to_string();
            assert!(error.contains("use cpu, cuda"), "{error}");
        }
    }
}
