//! Stops a build without libtorch with a message that says what to do, before torch-sys stops it with a panic.
//!
//! Nothing can make torch-sys depend on this package. But cargo starts, of the jobs that are ready, the one that
//! most others wait for, and stops at the first error. This script has no dependencies and is compiled for the
//! build scripts of the nac crates, so that more jobs wait for it than for torch-sys's script, as long as those
//! crates do not depend on torch-sys directly.

#[path = "src/find.rs"]
mod find;

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/find.rs");
    for name in find::VARIABLES {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if env::var_os("CARGO_FEATURE_DOWNLOAD_LIBTORCH").is_some() {
        return;
    }
    match find::source(|name| env::var_os(name)) {
        Ok(find::Source::Folder(root)) => {
            println!(
                "cargo::rerun-if-changed={}",
                root.join(find::HEADER).display()
            );
        }
        Ok(find::Source::Python) => {}
        Err(problem) => {
            println!(
                "cargo::error=libtorch 2.11.0 was not found: {problem}. To install it and tell this project where it is:"
            );
            println!(
                "cargo::error=cargo install nac-setup && nac-setup && nac-setup project   (in nac's own repository: cargo xtask setup)"
            );
        }
    }
}
