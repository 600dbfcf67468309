//! nac-train.
