#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    decoders::history::kv_log(input);
});
