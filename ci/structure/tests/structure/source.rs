//! What the structure test reads of a crate: its modules, what they define and
//! what they refer to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Methods of the standard library that types of ours have, too.
const STANDARD: [&str; 14] = [
    "begin", "end", "get", "insert", "iter", "join", "len", "max", "min", "name", "path",
    "position", "read", "write",
];

/// A path of names from the crate's root; the root itself is empty.
pub(crate) type ModulePath = Vec<String>;

/// One file of a crate.
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    /// Names of items that the file defines.
    defined: BTreeSet<String>,
    /// Names that the file imports or exports again, with where they come from.
    imported: BTreeMap<String, ModulePath>,
    /// Modules of which everything is exported again.
    globs: Vec<ModulePath>,
    /// All paths inside the crate that the file refers to.
    paths: BTreeSet<ModulePath>,
    /// Methods of inherent `impl` blocks, by type.
    methods: BTreeSet<(String, String)>,
    /// Names of methods that the file calls.
    calls: BTreeSet<String>,
    /// Names of methods of traits.
    trait_methods: BTreeSet<String>,
    /// Functions, by name, with their number of lines.
    pub(crate) functions: Vec<(String, usize)>,
}

/// All files of a crate without its tests.
pub(crate) struct Source {
    pub(crate) modules: BTreeMap<ModulePath, Module>,
}

impl Source {
    pub(crate) fn read(root: &Path) -> Self {
        let mut modules = BTreeMap::new();
        let mut folders = vec![(root.to_path_buf(), ModulePath::new())];
        while let Some((folder, path)) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let file = entry.unwrap().path();
                let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
                if name == "tests" {
                    continue;
                }
                let mut at = path.clone();
                if !matches!(&*name, "lib" | "main" | "mod") {
                    at.push(name);
                }
                if file.is_dir() {
                    folders.push((file, at));
                } else if file.extension().is_some_and(|e| e == "rs") {
                    let module = Module::read(file, &at);
                    modules.insert(at, module);
                }
            }
        }
        Self { modules }
    }

    /// The file that defines what a path names.
    fn definition(&self, path: &[String]) -> Option<ModulePath> {
        self.follow(path, 0)
    }

    fn follow(&self, path: &[String], depth: usize) -> Option<ModulePath> {
        let mut at = ModulePath::new();
        for (i, name) in path.iter().enumerate() {
            let mut child = at.clone();
            child.push(name.clone());
            if self.modules.contains_key(&child) {
                at = child;
                continue;
            }
            let module = &self.modules[&at];
            if module.defined.contains(name) || depth > 8 {
                return Some(at);
            }
            if let Some(origin) = module.imported.get(name) {
                let rest = origin.iter().chain(&path[i + 1..]).cloned();
                return self.follow(&rest.collect::<Vec<_>>(), depth + 1);
            }
            let glob = module.globs.iter().find_map(|glob| {
                let inside: Vec<String> = glob.iter().chain([name]).cloned().collect();
                let found = self.follow(&inside, depth + 1)?;
                (self.modules[&found].defined.contains(name)).then_some(found)
            });
            return glob.or(Some(at));
        }
        Some(at)
    }

    /// Names of all methods.
    pub(crate) fn method_names(&self) -> BTreeSet<String> {
        (self.modules.values())
            .flat_map(|m| {
                m.methods
                    .iter()
                    .map(|(_, name)| name)
                    .chain(&m.trait_methods)
            })
            .cloned()
            .collect()
    }

    /// Which files each file imports from: by paths, and by calls of methods
    /// whose type has `impl` blocks in several files. Methods that another
    /// crate has, too (`elsewhere`), do not count: a call may mean those.
    pub(crate) fn imports(
        &self,
        elsewhere: &BTreeSet<String>,
    ) -> BTreeMap<ModulePath, BTreeSet<ModulePath>> {
        let spread = self.methods_of_spread_types(elsewhere);
        (self.modules.iter())
            .map(|(at, module)| {
                let by_path = (module.paths.iter()).filter_map(|path| self.definition(path));
                let by_call = module.calls.iter().filter_map(|m| spread.get(m).cloned());
                let to = by_path.chain(by_call).filter(|to| to != at);
                (at.clone(), to.collect())
            })
            .collect()
    }

    /// Methods that one file alone defines, of types with methods in several
    /// files: whoever calls one imports that file without a `use`.
    fn methods_of_spread_types(
        &self,
        elsewhere: &BTreeSet<String>,
    ) -> BTreeMap<String, ModulePath> {
        let mut homes: BTreeMap<&str, BTreeSet<&ModulePath>> = BTreeMap::new();
        let mut names: BTreeMap<&str, BTreeSet<(&str, &ModulePath)>> = BTreeMap::new();
        let mut common: BTreeSet<&str> = elsewhere.iter().map(String::as_str).collect();
        common.extend(STANDARD);
        for (at, module) in &self.modules {
            common.extend(module.trait_methods.iter().map(String::as_str));
            for (of, name) in &module.methods {
                homes.entry(of).or_default().insert(at);
                names.entry(name).or_default().insert((of, at));
            }
        }
        (names.iter())
            .filter(|(name, places)| places.len() == 1 && !common.contains(*name))
            .filter_map(|(name, places)| {
                let (of, at) = places.first()?;
                (homes[of].len() > 1).then(|| ((*name).to_owned(), (*at).clone()))
            })
            .collect()
    }
}

impl Module {
    fn read(file: PathBuf, at: &[String]) -> Self {
        let text = std::fs::read_to_string(&file).unwrap();
        let syntax = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut module = Self {
            file,
            defined: BTreeSet::new(),
            imported: BTreeMap::new(),
            globs: Vec::new(),
            paths: BTreeSet::new(),
            methods: BTreeSet::new(),
            calls: BTreeSet::new(),
            trait_methods: BTreeSet::new(),
            functions: Vec::new(),
        };
        let mut reader = Reader {
            at,
            module: &mut module,
        };
        reader.visit_file(&syntax);
        module
    }
}

struct Reader<'a> {
    at: &'a [String],
    module: &'a mut Module,
}

impl Reader<'_> {
    /// A path from the crate's root; none for one into another crate.
    fn absolute(&self, segments: &[String]) -> Option<ModulePath> {
        let mut base = match segments.first()?.as_str() {
            "crate" => return Some(segments[1..].to_vec()),
            "self" | "super" => self.at.to_vec(),
            _ => return None,
        };
        let mut rest = segments;
        while let [first, tail @ ..] = rest {
            match first.as_str() {
                "self" => {}
                "super" => drop(base.pop()),
                _ => break,
            }
            rest = tail;
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    /// As [`Self::absolute`], for a path that may also begin with a child
    /// module, as `pub use child::Name` does.
    fn with_children(&self, segments: &[String]) -> Option<ModulePath> {
        self.absolute(segments).or_else(|| {
            let child = self
                .module
                .defined
                .contains(&format!("mod {}", segments.first()?));
            child.then(|| self.at.iter().chain(segments).cloned().collect())
        })
    }

    fn import(&mut self, tree: &syn::UseTree, mut prefix: Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import(&path.tree, prefix);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix.clone());
                }
            }
            syn::UseTree::Glob(_) => {
                if let Some(path) = self.with_children(&prefix) {
                    self.module.paths.insert(path.clone());
                    self.module.globs.push(path);
                }
            }
            syn::UseTree::Name(name) => self.import_as(prefix, &name.ident, &name.ident),
            syn::UseTree::Rename(name) => self.import_as(prefix, &name.ident, &name.rename),
        }
    }

    fn import_as(&mut self, mut prefix: Vec<String>, name: &syn::Ident, known_as: &syn::Ident) {
        if name != "self" {
            prefix.push(name.to_string());
        }
        if let Some(path) = self.with_children(&prefix) {
            self.module.paths.insert(path.clone());
            self.module.imported.insert(known_as.to_string(), path);
        }
    }

    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let lines = body.span().end().line - signature.span().start().line + 1;
        let name = signature.ident.to_string();
        self.module.functions.push((name, lines));
    }
}

fn only_for_tests(attributes: &[syn::Attribute]) -> bool {
    (attributes.iter()).any(|a| {
        a.path().is_ident("cfg")
            && a.parse_args::<syn::Path>()
                .is_ok_and(|condition| condition.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_file(&mut self, file: &'ast syn::File) {
        // Child modules first: paths may begin with one.
        for item in &file.items {
            if let syn::Item::Mod(module) = item {
                self.module.defined.insert(format!("mod {}", module.ident));
            }
        }
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        let (attributes, name) = match item {
            syn::Item::Const(i) => (&i.attrs, Some(&i.ident)),
            syn::Item::Enum(i) => (&i.attrs, Some(&i.ident)),
            syn::Item::Fn(i) => (&i.attrs, Some(&i.sig.ident)),
            syn::Item::Mod(i) => (&i.attrs, None),
            syn::Item::Static(i) => (&i.attrs, Some(&i.ident)),
            syn::Item::Struct(i) => (&i.attrs, Some(&i.ident)),
            syn::Item::Trait(i) => (&i.attrs, Some(&i.ident)),
            syn::Item::Type(i) => (&i.attrs, Some(&i.ident)),
            syn::Item::Impl(i) => (&i.attrs, None),
            syn::Item::Use(i) => (&i.attrs, None),
            _ => return visit::visit_item(self, item),
        };
        if only_for_tests(attributes) {
            return;
        }
        if let Some(name) = name {
            self.module.defined.insert(name.to_string());
        }
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&item.tree, Vec::new());
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        for member in &item.items {
            if let syn::TraitItem::Fn(method) = member {
                self.module
                    .trait_methods
                    .insert(method.sig.ident.to_string());
            }
        }
        visit::visit_item_trait(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let (None, syn::Type::Path(of)) = (&item.trait_, &*item.self_ty) {
            let of = of.path.segments.last().unwrap().ident.to_string();
            for member in &item.items {
                if let syn::ImplItem::Fn(method) = member {
                    let name = method.sig.ident.to_string();
                    self.module.methods.insert((of.clone(), name));
                }
            }
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.module.calls.insert(call.method.to_string());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if let Some(path) = self.absolute(&segments) {
            self.module.paths.insert(path);
        }
        visit::visit_path(self, path);
    }
}
