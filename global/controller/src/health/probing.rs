//! Which regions have a probe under way in this process.
use exarch_common_base::RegionId;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

/// The set of them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Probing(Arc<Mutex<HashSet<RegionId>>>);

impl Probing {
    /// The one place of a region, until it is dropped; none while it is taken.
    pub fn begin(&self, region: RegionId) -> Option<Place> {
        let mut held = self.0.lock().expect("no holder of this lock panics");
        held.insert(region).then(|| Place(self.clone(), region))
    }
}

/// A probe is under way.
#[derive(Debug)]
pub struct Place(Probing, RegionId);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.lock().expect("no holder of this lock panics").remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_base::Ambient;

    #[test]
    fn a_region_has_one_place_at_a_time() {
        let (probing, ambient) = (Probing::default(), Ambient::system());
        let (a, b): (RegionId, RegionId) = (ambient.id(), ambient.id());
        let first = probing.begin(a);
        assert!(first.is_some() && probing.begin(a).is_none() && probing.begin(b).is_some());
        drop(first);
        assert!(probing.begin(a).is_some());
    }
}
