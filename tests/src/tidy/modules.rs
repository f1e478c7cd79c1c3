//! The module graph of one crate: which file's code names things of which other file.
//!
//! Re-exports are followed to where the thing comes from. Not here: what of it is allowed.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{PathUse, Source};

/// A module as its path in the crate; the root is empty.
pub type Module = Vec<String>;

/// One file naming another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Who names.
    pub from: Module,
    /// What is named.
    pub to: Module,
    /// Where, as `path:line`.
    pub at: String,
}

/// The files of a crate as modules.
#[derive(Debug)]
pub struct Graph {
    modules: BTreeSet<Module>,
    imports: BTreeMap<Module, Vec<PathUse>>,
    /// Every file naming another, in order of the namer.
    pub edges: Vec<Edge>,
}

impl Graph {
    /// The graph of the crate whose sources lie in `folder`, such as `peer/core/src`. The program's `main.rs` counts as root.
    #[must_use]
    pub fn new(sources: &[Source], folder: &str) -> Self {
        let own: Vec<(Module, &Source)> =
            sources.iter().filter_map(|source| Some((module_of(&source.path, folder)?, source))).collect();
        let mut graph = Self { modules: BTreeSet::from([Module::new()]), imports: BTreeMap::new(), edges: Vec::new() };
        for (module, source) in &own {
            graph.modules.insert(module.clone());
            let imports = source.paths().into_iter().filter(|path| path.name.is_some());
            graph.imports.entry(module.clone()).or_default().extend(imports);
        }
        for (module, source) in &own {
            for path in source.paths() {
                let Some(to) = graph.resolve(module, &path.segments, 8) else { continue };
                if to != *module {
                    graph.edges.push(Edge { from: module.clone(), to, at: source.at(path.line) });
                }
            }
        }
        graph.edges.sort();
        graph.edges.dedup();
        graph
    }

    /// The module that owns what `segments` means inside `from`; none when it comes from another crate.
    fn resolve(&self, from: &Module, segments: &[String], hops: usize) -> Option<Module> {
        let (first, rest) = segments.split_first()?;
        let (mut here, mut rest) = match first.as_str() {
            "crate" => (Module::new(), rest),
            "self" => (from.clone(), rest),
            "super" => (parent(from), rest),
            _ if self.child(from, first).is_some() => (from.clone(), segments),
            _ => return None,
        };
        while let Some((segment, after)) = rest.split_first() {
            if segment == "super" {
                here = parent(&here);
            } else if let Some(child) = self.child(&here, segment) {
                here = child;
            } else {
                return Some(self.through_import(&here, segment, hops).unwrap_or(here));
            }
            rest = after;
        }
        Some(here)
    }

    fn child(&self, module: &Module, name: &str) -> Option<Module> {
        let mut child = module.clone();
        child.push(name.to_owned());
        self.modules.contains(&child).then_some(child)
    }

    fn through_import(&self, module: &Module, name: &str, hops: usize) -> Option<Module> {
        let import = self.imports.get(module)?.iter().find(|import| import.name.as_deref() == Some(name))?;
        self.resolve(module, &import.segments, hops.checked_sub(1)?)
    }

    /// Modules that depend on each other in a ring, each ring once, with the place that closes it. A module naming the folder
    /// module it lies in is no ring: the two are one thing in several files.
    #[must_use]
    pub fn rings(&self) -> Vec<String> {
        let mut next: BTreeMap<&Module, Vec<&Edge>> = BTreeMap::new();
        for edge in self.edges.iter().filter(|edge| !edge.from.starts_with(&edge.to)) {
            next.entry(&edge.from).or_default().push(edge);
        }
        let mut found = Vec::new();
        let mut done = BTreeSet::new();
        for module in &self.modules {
            walk(module, &next, &mut Vec::new(), &mut done, &mut found);
        }
        found
    }
}

fn walk<'a>(
    module: &'a Module,
    next: &BTreeMap<&Module, Vec<&'a Edge>>,
    way: &mut Vec<&'a Module>,
    done: &mut BTreeSet<&'a Module>,
    found: &mut Vec<String>,
) {
    if done.contains(module) {
        return;
    }
    way.push(module);
    for &edge in next.get(module).into_iter().flatten() {
        if let Some(start) = way.iter().position(|each| **each == edge.to) {
            let ring: Vec<String> = way[start..].iter().map(|each| each.join("::")).collect();
            found.push(format!("{}: ring {} -> {}", edge.at, ring.join(" -> "), edge.to.join("::")));
        } else {
            walk(&edge.to, next, way, done, found);
        }
    }
    way.pop();
    done.insert(module);
}

fn parent(module: &Module) -> Module {
    module.split_last().map(|(_, parent)| parent.to_vec()).unwrap_or_default()
}

/// The module that the file at `path` is in the crate of `folder`; none when it lies elsewhere.
#[must_use]
pub fn module_of(path: &str, folder: &str) -> Option<Module> {
    let below = path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".rs")?;
    let mut module: Module = below.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    Some(module)
}
