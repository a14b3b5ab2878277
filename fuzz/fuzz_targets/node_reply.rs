#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    decoders::server::node_reply(input);
});
