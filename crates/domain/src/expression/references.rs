//! What an expression reads: `params.replicas` as `["params", "replicas"]`.

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// A value that an expression reads, as far as its path is fixed: `stages["a"].output[i]` is `["stages", "a", "output"]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The root and the fixed steps after it.
    pub path: Vec<String>,
    /// Whether the expression only asks if it exists: `has(params.x)`.
    pub tested: bool,
}

impl Reference {
    /// The root: `params`.
    #[must_use]
    pub fn root(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// The name below the root: `replicas` of `params.replicas`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.path.get(1).map(String::as_str)
    }
}

/// Names that CEL itself defines.
const TYPES: [&str; 10] =
    ["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "string", "uint"];

/// Everything that an expression reads and calls, collected in one walk.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) references: Vec<Reference>,
    pub(super) functions: Vec<String>,
    /// The longest way from the root to a leaf.
    pub(super) depth: usize,
    /// How many loops stand within one another.
    pub(super) loops: usize,
}

impl Walk {
    pub(super) fn of(expression: &IdedExpr) -> Self {
        let mut walk = Self::default();
        walk.visit(expression, &mut Vec::new(), 1, 0);
        walk
    }

    fn visit<'e>(&mut self, node: &'e IdedExpr, bound: &mut Vec<&'e str>, depth: usize, loops: usize) {
        self.depth = self.depth.max(depth);
        if let Some((path, tested)) = fixed_path(node, bound) {
            self.depth = self.depth.max(depth + path.len());
            self.references.push(Reference { path, tested });
            return;
        }
        match &node.expr {
            Expr::Call(call) => {
                self.functions.push(call.func_name.clone());
                for child in call.target.as_deref().into_iter().chain(&call.args) {
                    self.visit(child, bound, depth + 1, loops);
                }
            }
            Expr::Comprehension(comprehension) => self.visit_loop(comprehension, bound, depth, loops),
            Expr::List(list) => {
                for element in &list.elements {
                    self.visit(element, bound, depth + 1, loops);
                }
            }
            Expr::Map(map) => {
                self.visit_entries(map.entries.iter().map(|entry| &entry.expr), bound, depth, loops);
            }
            Expr::Struct(record) => {
                self.visit_entries(record.entries.iter().map(|entry| &entry.expr), bound, depth, loops);
            }
            Expr::Select(select) => self.visit(&select.operand, bound, depth + 1, loops),
            Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn visit_loop<'e>(
        &mut self,
        node: &'e ComprehensionExpr,
        bound: &mut Vec<&'e str>,
        depth: usize,
        loops: usize,
    ) {
        self.loops = self.loops.max(loops + 1);
        self.visit(&node.iter_range, bound, depth + 1, loops);
        self.visit(&node.accu_init, bound, depth + 1, loops);
        let outside = bound.len();
        bound.push(&node.accu_var);
        self.visit(&node.result, bound, depth + 1, loops);
        bound.push(&node.iter_var);
        bound.extend(node.iter_var2.as_deref());
        self.visit(&node.loop_cond, bound, depth + 1, loops + 1);
        self.visit(&node.loop_step, bound, depth + 1, loops + 1);
        bound.truncate(outside);
    }

    fn visit_entries<'e>(
        &mut self,
        entries: impl Iterator<Item = &'e EntryExpr>,
        bound: &mut Vec<&'e str>,
        depth: usize,
        loops: usize,
    ) {
        for entry in entries {
            match entry {
                EntryExpr::StructField(field) => self.visit(&field.value, bound, depth + 1, loops),
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key, bound, depth + 1, loops);
                    self.visit(&entry.value, bound, depth + 1, loops);
                }
            }
        }
    }
}

/// The path of `a.b["c"]`, if the whole node is one that starts at a free name.
fn fixed_path(node: &IdedExpr, bound: &[&str]) -> Option<(Vec<String>, bool)> {
    let mut steps = Vec::new();
    let mut tested = false;
    let mut current = &node.expr;
    loop {
        match current {
            Expr::Ident(name) => {
                let free = !bound.contains(&name.as_str())
                    && !name.starts_with('@')
                    && !TYPES.contains(&name.as_str());
                steps.push(name.clone());
                steps.reverse();
                return free.then_some((steps, tested));
            }
            Expr::Select(select) => {
                tested |= select.test;
                steps.push(select.field.clone());
                current = &select.operand.expr;
            }
            Expr::Call(call) if call.func_name == operators::INDEX => {
                let [operand, IdedExpr { expr: Expr::Literal(LiteralValue::String(key)), .. }] =
                    call.args.as_slice()
                else {
                    return None;
                };
                steps.push(key.inner().to_owned());
                current = &operand.expr;
            }
            _ => return None,
        }
    }
}
