//! Makes sure that there is a web app to embed: a plain page in its place until it is built.
use std::{fs, io, path::Path};

const PAGE: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Exarch</title>\n\
    <p>This build has no web app. Run <code>npm ci &amp;&amp; npm run build</code> in <code>global/dashboard</code>, \
    then build again.</p>\n</html>\n";

fn main() -> io::Result<()> {
    let dist = Path::new("../dashboard/dist");
    println!("cargo:rerun-if-changed={}", dist.display());
    fs::create_dir_all(dist)?;
    let index = dist.join("index.html");
    if !index.exists() {
        fs::write(index, PAGE)?;
    }
    Ok(())
}
