//! Compiles the C++ of this package against libtorch's headers, and lets its executables find libtorch.

use std::env;
use std::path::PathBuf;

fn main() {
    nac_libtorch::link();
    println!("cargo::rerun-if-changed=cpp");
    println!("cargo::rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    // Without libtorch the build of torch-sys fails, with advice from nac-libtorch.
    let Some(found) = nac_libtorch::installed().or_else(downloaded) else {
        return;
    };
    let abi = env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into());
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .file("cpp/shim.cpp")
        .include("cpp")
        .define("USE_C10D_GLOO", None)
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        // Its loops move every gradient, in debug builds too. The headers are libtorch's: their warnings are not ours.
        .warnings(false)
        .opt_level(3);
    for folder in &found.include {
        build.include(folder);
    }
    build.compile("nac_dist");
    println!("cargo::rustc-link-search=native={}", found.lib.display());
    for library in ["torch_cpu", "c10"] {
        println!("cargo::rustc-link-lib={library}");
    }
}

/// The libtorch that torch-sys downloaded into the target directory.
fn downloaded() -> Option<nac_libtorch::Installed> {
    let lib = PathBuf::from(env::var_os("DEP_TCH_LIBTORCH_LIB")?);
    let include = lib.parent()?.join("include");
    let api = include.join("torch/csrc/api/include");
    Some(nac_libtorch::Installed {
        include: vec![include, api],
        lib,
    })
}
