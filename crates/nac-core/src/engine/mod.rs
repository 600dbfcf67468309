//! engine
mod simd;
