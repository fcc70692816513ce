//! Shared by the tests of this crate; each test binary uses its part.
#![allow(dead_code)]

pub mod native;
pub mod pocket;
