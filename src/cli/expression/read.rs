//! Which attributes an expression's value comes from.

use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, operators};

/// An attribute whose bytes reach the value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    /// Its path, `request.headers` for any header.
    pub path: String,
    /// The key in brackets behind it.
    pub key: Option<String>,
}

/// Attributes whose value becomes part of the expression's value. What only decides between other values does not count:
/// `request.path == '/' ? 'root' : 'other'` has two values whatever the path.
pub fn reads(tree: &Expr) -> Vec<Read> {
    let mut all = Vec::new();
    collect(tree, &mut all);
    all.sort();
    all.dedup();
    all
}

/// First names of everything that is read at all, each once.
pub fn roots(tree: &Expr) -> Vec<String> {
    let mut all = Vec::new();
    walk(tree, &mut |part| {
        if let Expr::Ident(name) = part
            && !name.starts_with('@')
            && !all.contains(name)
        {
            all.push(name.clone());
        }
    });
    all
}

fn collect(tree: &Expr, all: &mut Vec<Read>) {
    match tree {
        Expr::Ident(_) | Expr::Select(_) => {
            all.extend(path(tree).map(|path| Read { path, key: None }));
        }
        Expr::Call(call) => of_call(call, all),
        Expr::List(list) => list.elements.iter().for_each(|part| collect(&part.expr, all)),
        _ => {}
    }
}

fn of_call(call: &CallExpr, all: &mut Vec<Read>) {
    let args = call.args.iter().map(|arg| &arg.expr);
    match call.func_name.as_str() {
        operators::CONDITIONAL => args.skip(1).for_each(|arg| collect(arg, all)),
        operators::INDEX => {
            let [of, key] = call.args.as_slice() else { return };
            let key = literal(&key.expr).map(str::to_owned);
            match path(&of.expr) {
                Some(path) => all.push(Read { path, key }),
                None => collect(&of.expr, all),
            }
        }
        operators::ADD | "string" | "bytes" | "dyn" => args.for_each(|arg| collect(arg, all)),
        // A number made of a text has as many values as the text; comparisons have two.
        "int" | "uint" | "double" | "timestamp" | "duration" => {
            args.for_each(|arg| collect(arg, all));
        }
        _ => {}
    }
}

/// `a.b.c` as text.
pub fn path(tree: &Expr) -> Option<String> {
    match tree {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{}", path(&select.operand.expr)?, select.field))
        }
        Expr::Call(call) if call.func_name == operators::INDEX => {
            let [of, key] = call.args.as_slice() else { return None };
            Some(format!("{}['{}']", path(&of.expr)?, literal(&key.expr)?))
        }
        _ => None,
    }
}

/// The text of a string literal.
pub fn literal(tree: &Expr) -> Option<&str> {
    match tree {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn walk(tree: &Expr, visit: &mut dyn FnMut(&Expr)) {
    visit(tree);
    match tree {
        Expr::Call(call) => {
            call.target.iter().for_each(|target| walk(&target.expr, visit));
            call.args.iter().for_each(|arg| walk(&arg.expr, visit));
        }
        Expr::Select(select) => walk(&select.operand.expr, visit),
        Expr::List(list) => list.elements.iter().for_each(|part| walk(&part.expr, visit)),
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    walk(&entry.key.expr, visit);
                    walk(&entry.value.expr, visit);
                }
            }
        }
        Expr::Comprehension(comprehension) => walk(&comprehension.iter_range.expr, visit),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::Expression;
    use super::{reads, roots};

    #[track_caller]
    fn shown(text: &str) -> Vec<String> {
        let expression = Expression::parse(text).unwrap();
        let read = reads(expression.tree());
        read.into_iter()
            .map(|r| r.key.map_or(r.path.clone(), |k| format!("{}[{k}]", r.path)))
            .collect()
    }

    #[test]
    fn only_what_reaches_the_value_is_read() {
        assert_eq!(shown("request.url_path"), ["request.url_path"]);
        assert_eq!(shown("request.headers['x-user']"), ["request.headers[x-user]"]);
        assert_eq!(shown("'a' + string(request.size)"), ["request.size"]);
        assert_eq!(shown("request.path == '/' ? 'root' : 'other'"), Vec::<String>::new());
        assert_eq!(shown("has(request.host) ? request.host : ''"), ["request.host"]);
        assert_eq!(shown("request.path.startsWith('/a')"), Vec::<String>::new());
    }

    #[test]
    fn roots_are_all_first_names() {
        let expression = Expression::parse("op == 'x' ? request.path : other.a['b']").unwrap();
        assert_eq!(roots(expression.tree()), ["op", "request", "other"]);
    }
}
