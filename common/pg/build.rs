//! Embeds the migrations anew when a file is added to them.

#[expect(clippy::print_stdout, reason = "how a build script speaks to cargo")]
fn main() {
    println!("cargo:rerun-if-changed=../../migrations/global");
    println!("cargo:rerun-if-changed=../../migrations/regional");
}
