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
    /// Which replica this is, from 1.
    pub replica: u16,
}

impl Place {
    /// The n-th replica, from 1: a process with listeners, settings and state of its own, on the same database.
    fn nth(&self, n: u16) -> Self {
        let port = |mine: u16| mine - 10 * (self.replica - 1) + 10 * (n - 1);
        Self {
            public: port(self.public),
            inner: port(self.inner),
            ops: port(self.ops),
            replica: n,
            ..self.clone()
        }
    }

    /// What the process is called: the place, and the number of every replica but the first.
    pub fn process(&self) -> String {
        format!("{}{}", self.name, self.number())
    }

    fn number(&self) -> String {
        match self.replica {
            1 => String::new(),
            n => format!("-{n}"),
        }
    }

    /// What this replica alone keeps.
    pub fn state(&self) -> PathBuf {
        self.dir.join(format!("state{}", self.number()))
    }

    /// The public listener's address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.public)
    }

    /// The inner listener's address.
    pub fn inner_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.inner)
    }

    fn new(dir: &Path, name: &str, title: &str, base: u16) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            dir: dir.join(name),
            public: base,
            inner: base + 1,
            ops: base + 9,
            database: base + 2,
            replica: 1,
        }
    }

    /// The settings file.
    pub fn settings(&self) -> PathBuf {
        self.dir.join(format!("settings{}.toml", self.number()))
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
    /// Processes of the global and of each gateway.
    pub replicas: u16,
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
            replicas: 1,
        }
    }

    /// The same with so many processes of the global and of each gateway, each ten ports above the one before.
    #[must_use]
    pub fn with_replicas(self, replicas: u16) -> Self {
        Self { replicas, ..self }
    }

    /// All replicas of a place, itself first.
    pub fn replicas_of(&self, place: &Place) -> Vec<Place> {
        (1..=self.replicas).map(|n| place.nth(n)).collect()
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
