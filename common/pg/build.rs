//! Embeds the migrations anew when a file is added to them.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/global");
    println!("cargo:rerun-if-changed=../../migrations/regional");
}
