//! Where everything of a box lies and listens.
use std::path::{Path, PathBuf};

/// The regions of a box.
const REGIONS: [(&str, &str); 2] = [("eu-north", "EU North"), ("us-east", "US East")];

/// One process with a database: the global controller or a gateway.
#[derive(Clone, Debug)]
pub struct Place {
    /// `global`, or the region's slug.
    pub name: String,
    /// For people.
    pub title: String,
    /// Everything of it.
    pub dir: PathBuf,
    /// Public listener.
    pub public: u16,
    /// Federation listener, or that for agents.
    pub inner: u16,
    /// Ops listener.
    pub ops: u16,
    /// Postgres.
    pub database: u16,
}

impl Place {
    fn new(dir: &Path, name: &str, title: &str, base: u16) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            dir: dir.join(name),
            public: base,
            inner: base + 1,
            ops: base + 9,
            database: base + 2,
        }
    }

    /// The settings file.
    pub fn settings(&self) -> PathBuf {
        self.dir.join("settings.toml")
    }

    /// A secret of this place, 0600.
    pub fn secret(&self, name: &str) -> PathBuf {
        self.dir.join("secrets").join(name)
    }

    /// The ops listener's address.
    pub fn ops_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ops)
    }

    /// The file with the authority that signs the inner listener's certificate.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }
}

/// A whole box.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Everything lies in it.
    pub dir: PathBuf,
    /// The binaries.
    pub bin: PathBuf,
    /// The global controller.
    pub global: Place,
    /// The regions.
    pub regions: Vec<Place>,
}

impl Layout {
    /// A box in `dir`, whose global listens at `port_base` and whose regions listen 1000 and 1100 above.
    pub fn new(dir: &Path, bin: &Path, port_base: u16) -> Self {
        let region = |(n, (slug, title)): (usize, &(&str, &str))| {
            Place::new(&dir.join("regions"), slug, title, port_base + 1000 + 100 * n as u16)
        };
        Self {
            dir: dir.to_owned(),
            bin: bin.to_owned(),
            global: Place::new(dir, "global", "Global controller", port_base),
            regions: REGIONS.iter().enumerate().map(region).collect(),
        }
    }

    /// The file by which outside tools attach.
    pub fn federation_file(&self) -> PathBuf {
        self.dir.join("federation.json")
    }

    /// The global's public address.
    pub fn global_url(&self) -> String {
        format!("http://localhost:{}", self.global.public)
    }

    /// The global's federation listener.
    pub fn federation_url(&self) -> String {
        format!("https://localhost:{}", self.global.inner)
    }

    /// All places, the global first.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.global).chain(&self.regions)
    }

    /// Where an agent keeps its state.
    pub fn agent_dir(&self, region: &str, name: &str) -> PathBuf {
        self.dir.join("agents").join(format!("{region}-{name}"))
    }

    /// Logs of all processes.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }
}
