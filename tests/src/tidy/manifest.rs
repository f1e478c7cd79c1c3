//! Cargo manifests: who depends on whom. Reads section heads and first words of lines, no more of TOML than that.

/// A crate's manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Where it lies, from the project's root.
    pub path: String,
    /// The crate's name.
    pub package: String,
    /// What it depends on, for building and testing too.
    pub dependencies: Vec<String>,
    /// Whether it states a licence.
    pub licensed: bool,
}

impl Manifest {
    /// Reads the manifest that stands at `path`; none for one without a package, such as the workspace's own.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Option<Self> {
        let mut section = String::new();
        let mut package = None;
        let mut dependencies = Vec::new();
        let mut licensed = false;
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            if let Some(head) = line.strip_prefix('[') {
                section = head.trim_matches(['[', ']']).to_owned();
                dependencies.extend(named_in_head(&section));
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let key = key.trim().split('.').next().unwrap_or_default().trim_matches('"').to_owned();
            match (section.as_str(), key.as_str()) {
                ("package", "name") => package = Some(value.trim().trim_matches('"').to_owned()),
                ("package", "license") => licensed = true,
                _ if section.ends_with("dependencies") => dependencies.push(key),
                _ => {}
            }
        }
        Some(Self { path: path.to_owned(), package: package?, dependencies, licensed })
    }
}

/// `[dependencies.NAME]` names one in its head.
fn named_in_head(section: &str) -> Option<String> {
    let (kind, name) = section.rsplit_once('.')?;
    kind.ends_with("dependencies").then(|| name.trim_matches('"').to_owned())
}

/// What breaks the direction of dependencies: `allowed` lists each crate of this project with the ones it may use; anything that
/// `allowed` does not list is foreign and free. A crate without an entry, or without a licence, is told too.
#[must_use]
pub fn against_direction(manifests: &[Manifest], allowed: &[(&str, &[&str])]) -> Vec<String> {
    let is_member = |name: &String| allowed.iter().any(|(member, _)| member == name);
    let mut found = Vec::new();
    for manifest in manifests {
        let Some((_, may)) = allowed.iter().find(|(name, _)| *name == manifest.package) else {
            found.push(format!("{}: no rule says what `{}` may depend on", manifest.path, manifest.package));
            continue;
        };
        let wrong = manifest.dependencies.iter().filter(|name| is_member(name) && !may.contains(&name.as_str()));
        found.extend(wrong.map(|name| format!("{}: must not depend on `{name}`", manifest.path)));
        if !manifest.licensed {
            found.push(format!("{}: states no licence", manifest.path));
        }
    }
    found
}

/// Dependencies that a crate may not have, as (crate, dependency).
#[must_use]
pub fn forbidden_dependencies(manifests: &[Manifest], crates: &[&str], forbidden: &[&str]) -> Vec<String> {
    let concerned = manifests.iter().filter(|manifest| crates.contains(&manifest.package.as_str()));
    let pairs = concerned.flat_map(|manifest| manifest.dependencies.iter().map(move |name| (manifest, name)));
    let wrong = pairs.filter(|(_, name)| forbidden.contains(&name.as_str()));
    wrong.map(|(manifest, name)| format!("{}: `{name}` has no place in a pure crate", manifest.path)).collect()
}
