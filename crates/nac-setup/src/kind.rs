//! The version of libtorch that is needed, and its two builds.

/// The version that tch 0.24.0 and torch-sys 0.24.0 are made for.
pub const VERSION: &str = "2.11.0";

/// Whether libtorch can use a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The CPU build.
    Cpu,
    /// The CUDA build, which runs on the CPU as well.
    Cuda,
}

impl Kind {
    /// Part of folder names.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Cpu => "cpu",
            Kind::Cuda => "cuda",
        }
    }

    /// For messages.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Cpu => "CPU",
            Kind::Cuda => "CUDA",
        }
    }
}
