use super::*;
use serde::Deserialize;
use std::{fs::Permissions, os::unix::fs::PermissionsExt, time::Duration};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    #[serde(with = "duration", default = "half_a_minute")]
    period: Duration,
    #[serde(default)]
    retries: u32,
    #[serde(default)]
    regions: Vec<String>,
    #[serde(default)]
    weights: Vec<u8>,
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            period: half_a_minute(),
            retries: 0,
            regions: vec![],
            weights: vec![],
        }
    }
}

impl Validate for Probe {
    fn validate(&self, check: &mut Check) {
        check.duration(
            "period",
            self.period,
            Duration::from_secs(10)..=Duration::from_secs(600),
        );
        check.range("retries", self.retries, 0..=5);
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Database {
    url: String,
    #[serde(default)]
    password_file: Option<SecretFile>,
}

impl Validate for Database {
    fn validate(&self, check: &mut Check) {
        check.no_password("url", &self.url);
        if let Some(file) = &self.password_file {
            check.secret("password_file", file);
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    database: Database,
    #[serde(default)]
    probe: Probe,
}

impl Validate for Settings {
    fn validate(&self, check: &mut Check) {
        check.section("database", &self.database);
        check.section("probe", &self.probe);
    }
}

struct File(tempfile::TempDir);

impl File {
    fn of(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("exarch.toml"), text).unwrap();
        Self(dir)
    }

    fn load(&self, env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        load(Some(&self.0.path().join("exarch.toml")), &env)
    }

    fn refusal(&self, env: &[(&str, &str)]) -> String {
        self.load(env).unwrap_err().to_string()
    }
}

const GOOD: &str = "[database]\nurl = 'postgres://exarch_app@db/exarch'\n";

#[test]
fn what_the_file_leaves_out_has_its_default() {
    let settings = File::of(GOOD).load(&[]).unwrap();
    assert_eq!(settings.probe, Probe::default());
}

#[test]
fn the_environment_overrides_the_file_and_takes_the_type_of_the_field() {
    let file = File::of(&format!("{GOOD}[probe]\nperiod = '20s'\n"));
    let settings = file
        .load(&[
            ("EXARCH_PROBE__PERIOD", "1m30s"),
            ("EXARCH_PROBE__RETRIES", "3"),
            ("EXARCH_PROBE__REGIONS", "eu-north, 7"),
            ("EXARCH_PROBE__WEIGHTS", "[1, 2]"),
            ("EXARCH_DATABASE__URL", "5432"),
            ("EXARCH_CONFIG", "not a setting"),
            ("HOME", "/root"),
        ])
        .unwrap();
    assert_eq!(settings.probe.period, Duration::from_secs(90));
    assert_eq!((settings.probe.retries, &*settings.probe.weights), (3, &[1, 2][..]));
    assert_eq!(settings.probe.regions, ["eu-north", "7"]);
    assert_eq!(settings.database.url, "5432");
}

#[test]
fn without_a_file_the_environment_is_enough() {
    let env = Env::from([("EXARCH_DATABASE__URL".into(), "postgres://db/x".into())]);
    assert_eq!(load::<Settings>(None, &env).unwrap().database.url, "postgres://db/x");
}

#[test]
fn an_unknown_key_is_named_with_its_file() {
    let refusal = File::of(&format!("{GOOD}[probe]\nperid = '20s'\n")).refusal(&[]);
    assert!(refusal.contains("settings.probe.perid is not a setting"), "{refusal}");
    assert!(refusal.contains("exarch.toml"), "{refusal}");
    assert!(refusal.contains("`period`"), "{refusal}");
    let refusal = File::of(&format!("top = 1\n{GOOD}")).refusal(&[]);
    assert!(refusal.contains("settings.top is not a setting"), "{refusal}");
}

#[test]
fn an_unknown_key_of_the_environment_is_named_with_its_variable() {
    let refusal = File::of(GOOD).refusal(&[("EXARCH_PROBE__PERID", "20s")]);
    assert!(
        refusal.contains("settings.probe.perid is not a setting") && refusal.contains("EXARCH_PROBE__PERID"),
        "{refusal}"
    );
}

#[test]
fn a_missing_key_is_named() {
    let refusal = File::of("[database]\n").refusal(&[]);
    assert!(refusal.contains("settings.database.url is required"), "{refusal}");
    let refusal = File::of("").refusal(&[]);
    assert!(refusal.contains("settings.database is required"), "{refusal}");
}

#[test]
fn a_value_of_the_wrong_type_is_named_and_not_repeated() {
    let refusal = File::of(&format!("{GOOD}[probe]\nretries = 'hunter2'\n")).refusal(&[]);
    assert!(refusal.contains("settings.probe.retries must be"), "{refusal}");
    assert!(!refusal.contains("hunter2"), "{refusal}");
    let refusal = File::of(GOOD).refusal(&[("EXARCH_PROBE__RETRIES", "hunter2")]);
    assert!(
        refusal.contains("settings.probe.retries must be a whole number") && refusal.contains("EXARCH_PROBE__RETRIES"),
        "{refusal}"
    );
    assert!(!refusal.contains("hunter2"), "{refusal}");
    let refusal = File::of(&format!("{GOOD}[probe]\nperiod = '20'\n")).refusal(&[]);
    assert!(
        refusal.contains("settings.probe.period") && refusal.contains("30s, 15m"),
        "{refusal}"
    );
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let refusal = File::of("[database]\nurl = 'x'\nurl = \n").refusal(&[]);
    assert!(refusal.contains("exarch.toml, line 3"), "{refusal}");
    let missing = load::<Settings>(Some(Path::new("/nonexistent/exarch.toml")), &Env::new()).unwrap_err();
    assert!(
        missing.to_string().contains("/nonexistent/exarch.toml cannot be read"),
        "{missing}"
    );
}

#[test]
fn every_value_out_of_range_is_named_at_once() {
    let refusal = File::of(&format!("{GOOD}[probe]\nperiod = '5s'\n")).refusal(&[("EXARCH_PROBE__RETRIES", "9")]);
    assert!(
        refusal.contains("settings.probe.period = 5s is outside 10s..10m (from /"),
        "{refusal}"
    );
    assert!(
        refusal.contains("settings.probe.retries = 9 is outside 0..5 (from EXARCH_PROBE__RETRIES)"),
        "{refusal}"
    );
}

#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    let refusal = File::of("[database]\nurl = 'postgres://app:hunter2@db/x'\n").refusal(&[]);
    assert!(refusal.contains("settings.database.url holds a password"), "{refusal}");
    assert!(!refusal.contains("hunter2"), "{refusal}");
}

#[test]
fn what_is_shown_holds_no_secret_and_reads_back() {
    #[derive(Serialize)]
    struct Loose {
        url: &'static str,
        smtp_password: &'static str,
        password_file: SecretFile,
        list: Vec<&'static str>,
    }
    let shown = show_effective(&Loose {
        url: "postgres://app:hunter2@db:5432/x?y=a@b",
        smtp_password: "hunter3",
        password_file: SecretFile::new("/run/secrets/pw"),
        list: vec!["https://u:hunter4@h"],
    })
    .unwrap();
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(shown.contains("postgres://app:(masked)@db:5432/x?y=a@b"), "{shown}");
    assert!(shown.contains("/run/secrets/pw"), "{shown}");
    let settings = File::of(GOOD).load(&[]).unwrap();
    let again = File::of(&show_effective(&settings).unwrap()).load(&[]).unwrap();
    assert_eq!(again.probe, settings.probe);
}

fn secret(text: &[u8], mode: u32) -> (tempfile::TempDir, SecretFile) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let file = SecretFile::new(path);
    (dir, file)
}

#[test]
fn a_secret_is_read_without_its_last_newline() {
    use exarch_common_base::ExposeSecret;
    let (_dir, file) = secret(b" s3cret words \n", 0o600);
    assert_eq!(file.read().unwrap().expose_secret(), " s3cret words ");
    assert!(!format!("{file:?}").contains("s3cret"));
}

#[test]
fn a_secret_that_others_may_read_is_refused_with_path_and_mode() {
    for mode in [0o644, 0o640, 0o604, 0o620] {
        let (_dir, file) = secret(b"s3cret", mode);
        let refusal = file.read().unwrap_err().to_string();
        assert!(refusal.contains(&format!("{mode:04o}")), "{refusal}");
        assert!(refusal.contains(&file.path().display().to_string()), "{refusal}");
        assert!(!refusal.contains("s3cret"), "{refusal}");
    }
}

#[test]
fn a_secret_that_is_missing_empty_well_known_or_no_file_is_refused() {
    assert!(matches!(
        SecretFile::new("/nonexistent").read(),
        Err(SecretFileError::Read { .. })
    ));
    assert!(matches!(
        SecretFile::new("/tmp").read(),
        Err(SecretFileError::NotAFile(_))
    ));
    for (text, what) in [
        (&b""[..], "is empty"),
        (b" \n", "is empty"),
        (b"\xff", "no text"),
        (b"ChangeMe\n", "everybody knows"),
        (b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "everybody knows"),
    ] {
        let (_dir, file) = secret(text, 0o600);
        let refusal = file.read().unwrap_err().to_string();
        assert!(refusal.contains(what), "{refusal}");
    }
}

#[test]
fn a_bad_secret_file_stops_the_start_and_names_the_key() {
    let (_dir, file) = secret(b"s3cret", 0o644);
    let toml = format!("{GOOD}password_file = '{}'\n", file.path().display());
    let refusal = File::of(&toml).refusal(&[]);
    assert!(
        refusal.contains("settings.database.password_file") && refusal.contains("0644"),
        "{refusal}"
    );
}

proptest::proptest! {
    #[test]
    fn a_duration_that_is_written_reads_back(millis in 0u64..10_000_000_000) {
        let d = Duration::from_millis(millis);
        proptest::prop_assert_eq!(duration::parse(&duration::human(d)), Some(d));
    }

    #[test]
    fn no_text_breaks_the_reading_of_durations(text in "\\PC*") {
        let _ = duration::parse(&text);
    }
}

#[test]
fn durations_need_units_that_people_know() {
    for (text, seconds) in [
        ("30s", 30),
        ("15m", 900),
        ("15min", 900),
        ("1h30m", 5400),
        ("7d", 604_800),
        ("2000ms", 2),
    ] {
        assert_eq!(duration::parse(text), Some(Duration::from_secs(seconds)), "{text}");
    }
    for bad in ["", "30", "s", "1.5h", "-1s", "1y", "99999999999999999999s", "1s 1"] {
        assert_eq!(duration::parse(bad), None, "{bad}");
    }
}
