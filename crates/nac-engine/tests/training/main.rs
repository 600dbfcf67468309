//! Blocks of training against references in double precision.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::wildcard_imports, reason = "helpers of these tests")]

mod compare;
mod feed_forward;
mod modulation;
mod read_in;
mod reference;
mod skmdpa;
