//! Where libtorch comes from: the published wheels of torch 2.11.0 and of the NVIDIA libraries it is
//! linked to, each pinned by its SHA-256 from the package index.
//!
//! Only the C++ part of a wheel is used, so the wheels for CPython 3.11 serve whatever Python there is.
//! `libtorch_cpu.so` of these wheels needs the CUDA run time and CUPTI libraries even without a GPU.

use crate::error::SetupError;
use crate::kind::{Kind, VERSION};

/// Which files of a wheel are kept, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// `torch/include`, these files of `torch/lib` and the version, as `include`, `lib`, `version.py`.
    LeanTorch(&'static [&'static str]),
    /// `torch/include`, `torch/lib` and the version, under `torch`.
    WholeTorch,
    /// The files of these names, wherever they are, into `lib`.
    Libraries(&'static [&'static str]),
    /// All shared libraries, at their own paths (the run paths in libtorch lead there).
    LibrariesInPlace,
}

/// One pinned wheel.
#[derive(Clone, Debug)]
pub(crate) struct Wheel {
    /// What pip calls it, for example `torch==2.11.0`.
    pub(crate) requirement: String,
    /// File name on the package index.
    pub(crate) file: String,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub(crate) sha256: String,
    /// Size of the file.
    pub(crate) bytes: u64,
    /// What is kept of it.
    pub(crate) keep: Keep,
}

impl Wheel {
    fn new(requirement: &str, file: &str, sha256: &str, bytes: u64, keep: Keep) -> Self {
        let (requirement, file, sha256) = (requirement.into(), file.into(), sha256.into());
        Self {
            requirement,
            file,
            sha256,
            bytes,
            keep,
        }
    }

    /// Name of the project on the package index.
    pub(crate) fn project(&self) -> &str {
        self.requirement
            .split("==")
            .next()
            .unwrap_or(&self.requirement)
    }

    /// Where a member of the wheel goes, relative to the layout; `None` if it is not kept.
    pub(crate) fn destination(&self, member: &str) -> Option<String> {
        if member.ends_with('/') {
            return None;
        }
        let file = member.rsplit('/').next().unwrap_or(member);
        let in_torch = member.strip_prefix("torch/");
        match self.keep {
            Keep::LeanTorch(libraries) => in_torch
                .filter(|path| {
                    path.starts_with("include/")
                        || *path == "version.py"
                        || path
                            .strip_prefix("lib/")
                            .is_some_and(|name| libraries.contains(&name))
                })
                .map(str::to_owned),
            Keep::WholeTorch => in_torch
                .filter(|path| {
                    path.starts_with("include/")
                        || path.starts_with("lib/")
                        || *path == "version.py"
                })
                .filter(|path| *path != "lib/libtorch_python.so")
                .map(|path| format!("torch/{path}")),
            Keep::Libraries(names) => names.contains(&file).then(|| format!("lib/{file}")),
            Keep::LibrariesInPlace => file.contains(".so").then(|| member.to_owned()),
        }
    }
}

/// Everything needed to build one layout.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Folder name in the cache.
    pub(crate) name: String,
    /// CPU or CUDA.
    pub(crate) kind: Kind,
    /// Folder with `include` and `lib`, relative to the layout.
    pub(crate) torch: &'static str,
    /// The wheels.
    pub(crate) wheels: Vec<Wheel>,
    /// pip's names of the platforms the wheels are for; empty: pip is not asked.
    pub(crate) platforms: &'static [&'static str],
    /// Disk space for wheels and unpacked files together, in bytes.
    pub(crate) space: u64,
}

const X86_64_LIBRARIES: &[&str] = &["libc10.so", "libtorch_cpu.so", "libgomp.so.1"];
const AARCH64_LIBRARIES: &[&str] = &[
    "libc10.so",
    "libtorch_cpu.so",
    "libgomp.so.1",
    "libarm_compute.so",
    "libarm_compute_graph.so",
    "libgfortran.so.5",
    "libnvpl_blas_core.so.0",
    "libnvpl_blas_lp64_gomp.so.0",
    "libnvpl_lapack_core.so.0",
    "libnvpl_lapack_lp64_gomp.so.0",
];
const CUDA_RUNTIME: &[&str] = &["libcudart.so.13"];
const CUPTI: &[&str] = &["libcupti.so.13"];
const X86_64_PLATFORMS: &[&str] = &[
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_25_x86_64",
    "manylinux_2_18_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
];
const AARCH64_PLATFORMS: &[&str] = &[
    "manylinux_2_28_aarch64",
    "manylinux_2_25_aarch64",
    "manylinux_2_17_aarch64",
    "manylinux2014_aarch64",
];

/// The plan for this system, architecture (`std::env::consts`) and kind.
pub(crate) fn plan(os: &str, arch: &str, kind: Kind) -> Result<Plan, SetupError> {
    let name = format!("{VERSION}-{}-{arch}", kind.name());
    let plan = |torch, wheels, platforms, space| Plan {
        name,
        kind,
        torch,
        wheels,
        platforms,
        space,
    };
    match (os, arch, kind) {
        ("linux", "x86_64", Kind::Cpu) => {
            Ok(plan("", cpu_x86_64(), X86_64_PLATFORMS, 1_200_000_000))
        }
        ("linux", "aarch64", Kind::Cpu) => {
            Ok(plan("", cpu_aarch64(), AARCH64_PLATFORMS, 1_000_000_000))
        }
        ("linux", "x86_64", Kind::Cuda) => Ok(plan(
            "torch",
            cuda_x86_64(),
            X86_64_PLATFORMS,
            8_000_000_000,
        )),
        _ => Err(SetupError::Unsupported {
            os: os.into(),
            arch: arch.into(),
            kind,
        }),
    }
}

#[rustfmt::skip]
fn cpu_x86_64() -> Vec<Wheel> {
    vec![
        torch_x86_64(Keep::LeanTorch(X86_64_LIBRARIES)),
        cudart_x86_64(Keep::Libraries(CUDA_RUNTIME)),
        cupti_x86_64(Keep::Libraries(CUPTI)),
    ]
}

#[rustfmt::skip]
fn cpu_aarch64() -> Vec<Wheel> {
    vec![
        Wheel::new("torch==2.11.0", "torch-2.11.0-cp311-cp311-manylinux_2_28_aarch64.whl",
            "d91aac77f24082809d2c5a93f52a5f085032740a1ebc9252a7b052ef5a4fddc6", 419_718_178,
            Keep::LeanTorch(AARCH64_LIBRARIES)),
        Wheel::new("nvidia-cuda-runtime==13.0.96", "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
            "ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55", 2_261_060,
            Keep::Libraries(CUDA_RUNTIME)),
        Wheel::new("nvidia-cuda-cupti==13.0.85", "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_aarch64.whl",
            "796bd679890ee55fb14a94629b698b6db54bcfd833d391d5e94017dd9d7d3151", 10_310_827,
            Keep::Libraries(CUPTI)),
    ]
}

#[rustfmt::skip]
fn torch_x86_64(keep: Keep) -> Wheel {
    Wheel::new("torch==2.11.0", "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a", 530_604_548, keep)
}

#[rustfmt::skip]
fn cudart_x86_64(keep: Keep) -> Wheel {
    Wheel::new("nvidia-cuda-runtime==13.0.96", "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548", 2_243_632, keep)
}

#[rustfmt::skip]
fn cupti_x86_64(keep: Keep) -> Wheel {
    Wheel::new("nvidia-cuda-cupti==13.0.85", "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
        "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8", 10_715_597, keep)
}

#[rustfmt::skip]
fn cuda_x86_64() -> Vec<Wheel> {
    let pin = |requirement, file, sha256, bytes| Wheel::new(requirement, file, sha256, bytes, Keep::LibrariesInPlace);
    vec![
        torch_x86_64(Keep::WholeTorch),
        cudart_x86_64(Keep::LibrariesInPlace),
        cupti_x86_64(Keep::LibrariesInPlace),
        pin("nvidia-cudnn-cu13==9.19.0.56", "nvidia_cudnn_cu13-9.19.0.56-py3-none-manylinux_2_27_x86_64.whl",
            "d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf", 366_066_321),
        pin("nvidia-cusparselt-cu13==0.8.0", "nvidia_cusparselt_cu13-0.8.0-py3-none-manylinux2014_x86_64.whl",
            "25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd", 169_884_119),
        pin("nvidia-nccl-cu13==2.28.9", "nvidia_nccl_cu13-2.28.9-py3-none-manylinux_2_18_x86_64.whl",
            "e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42", 196_493_177),
        pin("nvidia-nvshmem-cu13==3.4.5", "nvidia_nvshmem_cu13-3.4.5-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80", 60_412_546),
        pin("nvidia-cublas==13.1.0.3", "nvidia_cublas-13.1.0.3-py3-none-manylinux_2_27_x86_64.whl",
            "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171", 423_133_236),
        pin("nvidia-cuda-nvrtc==13.0.88", "nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
            "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575", 90_215_200),
        pin("nvidia-cufft==12.0.0.61", "nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3", 214_085_489),
        pin("nvidia-cufile==1.15.1.6", "nvidia_cufile-1.15.1.6-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            "08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44", 1_223_672),
        pin("nvidia-curand==10.4.0.35", "nvidia_curand-10.4.0.35-py3-none-manylinux_2_27_x86_64.whl",
            "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc", 59_544_258),
        pin("nvidia-cusolver==12.0.4.66", "nvidia_cusolver-12.0.4.66-py3-none-manylinux_2_27_x86_64.whl",
            "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112", 200_941_980),
        pin("nvidia-cusparse==12.6.3.3", "nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b", 145_942_937),
        pin("nvidia-nvjitlink==13.0.88", "nvidia_nvjitlink-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl",
            "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b", 40_713_933),
        pin("nvidia-nvtx==13.0.85", "nvidia_nvtx-13.0.85-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl",
            "4936d1d6780fbe68db454f5e72a42ff64d1fd6397df9f363ae786930fd5c1cd4", 148_047),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_well_formed_and_named_alike() {
        let kinds = [
            ("x86_64", Kind::Cpu),
            ("aarch64", Kind::Cpu),
            ("x86_64", Kind::Cuda),
        ];
        for (arch, kind) in kinds {
            let plan = plan("linux", arch, kind).unwrap();
            assert!(
                plan.name.contains(arch) && plan.name.contains(kind.name()),
                "{}",
                plan.name
            );
            assert!(plan.space > plan.wheels.iter().map(|w| w.bytes).sum());
            for wheel in &plan.wheels {
                let (project, version) = wheel.requirement.split_once("==").unwrap();
                assert!(
                    wheel
                        .file
                        .starts_with(&format!("{}-{version}-", project.replace('-', "_")))
                );
                assert!(
                    wheel.file.ends_with(&format!("{arch}.whl")),
                    "{}",
                    wheel.file
                );
                assert_eq!(wheel.sha256.len(), 64);
                assert!(
                    wheel
                        .sha256
                        .bytes()
                        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                );
                assert_eq!(wheel.project(), project);
            }
        }
    }

    #[test]
    fn other_systems_get_a_fix() {
        for (os, arch, kind) in [
            ("macos", "aarch64", Kind::Cpu),
            ("linux", "aarch64", Kind::Cuda),
            ("windows", "x86_64", Kind::Cpu),
        ] {
            let error = plan(os, arch, kind).unwrap_err().to_string();
            assert!(
                error.contains("pip install torch==2.11.0") && error.contains("LIBTORCH"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_lean_layout_keeps_headers_and_three_libraries() {
        let wheel = &cpu_x86_64()[0];
        assert_eq!(
            wheel.destination("torch/include/c10/util/x.h").as_deref(),
            Some("include/c10/util/x.h")
        );
        assert_eq!(
            wheel.destination("torch/lib/libtorch_cpu.so").as_deref(),
            Some("lib/libtorch_cpu.so")
        );
        assert_eq!(
            wheel.destination("torch/version.py").as_deref(),
            Some("version.py")
        );
        for other in [
            "torch/lib/libtorch_cuda.so",
            "torch/nn/x.py",
            "torch/lib/",
            "functorch/include/x.h",
        ] {
            assert_eq!(wheel.destination(other), None, "{other}");
        }
    }

    #[test]
    fn the_cuda_layout_keeps_the_paths_that_run_paths_expect() {
        let wheels = cuda_x86_64();
        assert_eq!(
            wheels[0]
                .destination("torch/lib/libtorch_cuda.so")
                .as_deref(),
            Some("torch/lib/libtorch_cuda.so")
        );
        assert_eq!(wheels[0].destination("torch/lib/libtorch_python.so"), None);
        assert_eq!(
            wheels[1]
                .destination("nvidia/cu13/lib/libx.so.13")
                .as_deref(),
            Some("nvidia/cu13/lib/libx.so.13")
        );
        assert_eq!(wheels[1].destination("nvidia/cu13/include/x.h"), None);
    }

    #[test]
    fn run_time_libraries_go_beside_libtorch() {
        let wheel = &cpu_x86_64()[1];
        assert_eq!(
            wheel
                .destination("nvidia/cu13/lib/libcudart.so.13")
                .as_deref(),
            Some("lib/libcudart.so.13")
        );
        assert_eq!(wheel.destination("nvidia/cu13/lib/other.so"), None);
    }
}
