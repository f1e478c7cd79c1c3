//! What strangers call their files. The body stands in `system_tests::fuzz`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| system_tests::fuzz::run("file_names", bytes));
