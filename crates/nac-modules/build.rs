//! Lets the executables of this package find libtorch.

fn main() {
    nac_libtorch::link();
}
