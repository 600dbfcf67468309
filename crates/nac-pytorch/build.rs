//! Makes executables of this package find libtorch without `LD_LIBRARY_PATH`.
//!
//! torch-sys publishes the folder of the libtorch it compiled against; link arguments do not travel to
//! dependents, so every package with executables (tests, examples, binaries) has this script.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    let Some(lib) = env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else {
        println!(
            "cargo::warning=torch-sys did not say where libtorch is; set LD_LIBRARY_PATH to run executables"
        );
        return;
    };
    let lib = fs::canonicalize(&lib).unwrap_or(lib);
    if env::var("CARGO_CFG_TARGET_FAMILY").as_deref() != Ok("unix") {
        return;
    }
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
    // Doc tests do not get link arguments. Cargo runs them with every native search folder that lies in
    // the target directory on the loader's path, so we put a link to libtorch there.
    if let Some(out) = env::var_os("OUT_DIR") {
        let link = Path::new(&out).join("libtorch");
        let _ = fs::remove_file(&link);
        #[cfg(unix)]
        if std::os::unix::fs::symlink(&lib, &link).is_ok() {
            println!("cargo::rustc-link-search=native={}", link.display());
        }
    }
}
