//! What to ask a Prometheus: paths of its HTTP API, and expressions with Grafana's variables filled in.

use form_urlencoded::Serializer;

/// Values of Grafana's variables by name; what is not named is everything, as if nothing was picked.
#[derive(Clone, Debug)]
pub struct Fill<'a> {
    /// `$__rate_interval`: how far back a rate reaches, such as `1m`.
    pub rate_interval: &'a str,
    /// Names without `$`, and values.
    pub values: &'a [(&'a str, &'a str)],
}

impl Fill<'_> {
    /// The expression as Grafana would send it.
    pub fn expr(&self, expr: &str) -> String {
        let mut filled = String::with_capacity(expr.len());
        let mut rest = expr;
        while let Some(at) = rest.find('$') {
            let (before, after) = rest.split_at(at);
            filled.push_str(before);
            let after = &after[1..];
            let end =
                after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            let (name, tail) = after.split_at(end);
            // `$1` is no variable but a group of label_replace.
            match name {
                _ if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() => {
                    filled.push('$');
                    filled.push_str(name);
                }
                "__rate_interval" => filled.push_str(self.rate_interval),
                _ => filled.push_str(self.value(name)),
            }
            rest = tail;
        }
        filled + rest
    }

    fn value(&self, name: &str) -> &str {
        self.values.iter().find(|(known, _)| *known == name).map_or(".*", |(_, value)| value)
    }
}

/// Path that asks for an expression's value now.
pub fn instant(expr: &str) -> String {
    path("query", &[("query", expr)])
}

/// Path that asks for an expression's value at a time, in seconds since 1970.
pub fn at(expr: &str, time: f64) -> String {
    path("query", &[("query", expr), ("time", &format!("{time:.3}"))])
}

/// Path that asks for an expression's values from `start` to `end` (seconds since 1970), every `step` seconds.
pub fn range(expr: &str, start: f64, end: f64, step: f64) -> String {
    let [start, end, step] = [start, end, step].map(|seconds| format!("{seconds:.3}"));
    path("query_range", &[("query", expr), ("start", &start), ("end", &end), ("step", &step)])
}

fn path(endpoint: &str, pairs: &[(&str, &str)]) -> String {
    let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("/api/v1/{endpoint}?{query}")
}

#[cfg(test)]
mod tests {
    use super::{Fill, instant, range};

    #[test]
    fn variables_are_filled_and_groups_are_left() {
        let fill = Fill { rate_interval: "10s", values: &[("pod", "a-1")] };
        let expr = r#"rate(x{pod=~"$pod", n=~"$namespace"}[$__rate_interval]) label_replace(y, "v", "$1", "w", "(.+)")"#;
        let filled =
            r#"rate(x{pod=~"a-1", n=~".*"}[10s]) label_replace(y, "v", "$1", "w", "(.+)")"#;
        assert_eq!(fill.expr(expr), filled);
    }

    #[test]
    fn paths_are_encoded() {
        assert_eq!(instant(r#"a{b="c d"}"#), "/api/v1/query?query=a%7Bb%3D%22c+d%22%7D");
        assert_eq!(
            range("up", 1.0, 2.5, 0.5),
            "/api/v1/query_range?query=up&start=1.000&end=2.500&step=0.500"
        );
    }
}
