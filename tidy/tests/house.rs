//! The workspace against its own rules.
use flow_tidy::{circles, imports, source};
use std::path::Path;

#[test]
fn no_files_import_one_another_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut text = String::new();
    for (folder, files) in [
        ("engine/src", "engine/src/lib.rs"),
        ("engine/benches/journal", "engine/benches/journal/main.rs"),
        ("steps/src", "steps/src/lib.rs"),
        ("steps/sandbox/src", "steps/sandbox/src/lib.rs"),
        ("workflows/src", "workflows/src/lib.rs"),
        ("cli/src", "cli/src/main.rs"),
        ("tidy/src", "tidy/src/lib.rs"),
        ("steps/lint/src", "steps/lint/src/lib.rs"),
    ] {
        if !root.join(folder).exists() {
            continue;
        }
        let sources = source::read(root, &[folder]).unwrap();
        let imports = imports::of_crate(files, &sources);
        for b in circles::find(&imports) {
            text.push_str(&format!("{}: {}\n", b.file, b.what));
        }
    }
    assert!(text.is_empty(), "{text}");
}
