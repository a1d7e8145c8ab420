//! The generated expressions: every operator and function over every pair of operands, regular expressions over texts,
//! and random nestings from a fixed seed. The same on every run.

/// Operands of every type, present and absent, with the traps of each.
#[rustfmt::skip]
const OPERANDS: [&str; 26] = [
    "1", "-1", "0", "9223372036854775807", "-9223372036854775808", "1u", "0u", "18446744073709551615u", "1.0",
    "-0.5", "1e19", "'a'", "'12'", "''", "'é€😀'", "b'a'", "b'\\xff'", "true", "false", "null", "request.path",
    "request.size", "request.headers['x-num']", "request.headers['x-none']", "request.referer",
    "duration('1500ms')",
];

const BINARY: [&str; 13] = ["==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "&&", "||"];

#[rustfmt::skip]
const PATTERNS: [&str; 48] = [
    "a", "^a", "a$", "^a$", "^$", "$", "", ".", "^.$", "^..$", "a|b", "^(a|b)$", "a*", "^a*$", "^a+$", "^a?$",
    "^a{2}$", "^a{1,3}$", "^a{2,}$", "[a-c]", "^[^a]$", "^[^/]+$", "\\\\d+", "^\\\\d+$", "^\\\\D+$", "^\\\\w+$",
    "^\\\\W$", "\\\\s", "^\\\\S+$", "(?i)A", "(?i)^[A-C]+$", "(?i)K", "(?s)^.*$", "^.*$", "x.*y",
    "^/up/[^/]+\\\\?x=[0-9]+$", "[[:alpha:]]", "^[[:^digit:]]+$", "\\\\x61", "\\\\x{e9}", "é", "^[à-ÿ]$",
    "^\\\\Qa.b\\\\E$", "a{", "a{,2}", "^(?:a|b)+$", "(?P<n>a)", "^(a|ab)(c|bcd)$",
];

#[rustfmt::skip]
const TEXTS: [&str; 14] = [
    "'a'", "'b'", "''", "'aa'", "'abc'", "'12'", "'é'", "'a.b'", "'x\\ny'", "'a b'", "'K\\u212a'",
    "request.path", "request.headers['x-bad']", "request.headers['x-text']",
];

/// All expressions, in a fixed order.
pub fn corpus() -> Vec<String> {
    let mut out: Vec<String> = HAND.iter().map(|text| (*text).to_owned()).collect();
    pairs(&mut out);
    functions(&mut out);
    for pattern in PATTERNS {
        out.extend(TEXTS.iter().map(|text| format!("{text}.matches('{pattern}')")));
    }
    let mut random = Random(0x0bad_5eed);
    out.extend((0..2500).map(|_| random.expression(4)));
    out
}

fn pairs(out: &mut Vec<String>) {
    for left in OPERANDS {
        for right in OPERANDS {
            out.extend(BINARY.iter().map(|operator| format!("{left} {operator} {right}")));
            out.push(format!("{left} in ['x', {right}]"));
            out.push(format!("{left} ? {right} : 'no'"));
        }
    }
}

fn functions(out: &mut Vec<String>) {
    for of in OPERANDS {
        out.extend(["size", "string", "int", "!", "-"].map(|function| format!("{function}({of})")));
        for part in
            ["'a'", "''", "'/up'", "b'a'", "1", "request.method", "request.headers['x-none']"]
        {
            out.extend(
                ["startsWith", "endsWith", "contains"].map(|test| format!("({of}).{test}({part})")),
            );
        }
    }
    for text in [
        "' 12'",
        "'12 '",
        "'+12'",
        "'-0'",
        "'1.5'",
        "'0x1'",
        "'1_0'",
        "'\\t7\\n'",
        "'9223372036854775808'",
    ] {
        out.push(format!("int({text})"));
    }
    for double in [
        "1.9",
        "-1.9",
        "9223372036854775807.0",
        "-9223372036854775808.0",
        "9223372036854774784.0",
        "0.0/0.0",
        "1.0/0.0",
    ] {
        out.push(format!("int({double})"));
    }
}

/// A linear congruential generator: no dependency, the same everywhere.
struct Random(u64);

// === impl Random ===

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }

    /// Mostly well typed: a condition, down to `depth`.
    fn expression(&mut self, depth: usize) -> String {
        match self.below(8) {
            _ if depth == 0 => self.leaf(),
            0 | 1 => format!("{} && {}", self.expression(depth - 1), self.expression(depth - 1)),
            2 | 3 => format!("({} || {})", self.expression(depth - 1), self.expression(depth - 1)),
            4 => format!("!({})", self.expression(depth - 1)),
            5 => format!(
                "({} ? {} : {})",
                self.expression(depth - 1),
                self.expression(depth - 1),
                self.expression(depth - 1)
            ),
            _ => self.leaf(),
        }
    }

    fn leaf(&mut self) -> String {
        match self.below(7) {
            0 => {
                format!("{} {} {}", self.text(2), self.pick(&["==", "!=", "<", ">="]), self.text(2))
            }
            1 => format!(
                "{} {} {}",
                self.number(2),
                self.pick(&["==", "!=", "<", ">", "<="]),
                self.number(2)
            ),
            2 => format!(
                "{}.{}({})",
                self.text(1),
                self.pick(&["startsWith", "endsWith", "contains"]),
                self.text(1)
            ),
            3 => format!("{} in [{}, {}, 'GET']", self.text(1), self.text(1), self.text(0)),
            4 => format!(
                "{} in request.headers",
                self.pick(&["'x-num'", "'X-Num'", "'x-none'", "'host'"])
            ),
            5 => format!(
                "has(request.{})",
                self.pick(&["referer", "path", "method", "useragent", "headers.x"])
            ),
            _ => self
                .pick(&["true", "false", "1/0 == 1", "request.headers['x-none'] == ''", "1", "'a'"])
                .to_owned(),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        match self.below(6) {
            0 if depth > 0 => format!("({} + {})", self.text(depth - 1), self.text(depth - 1)),
            1 if depth > 0 => format!("string({})", self.number(depth - 1)),
            2 if depth > 0 => format!(
                "({} ? {} : {})",
                self.leaf_bool(),
                self.text(depth - 1),
                self.text(depth - 1)
            ),
            3 => self
                .pick(&[
                    "'a'",
                    "'GET'",
                    "'/up'",
                    "''",
                    "'1'",
                    "'é'",
                    "\"h:1\"",
                    "r'\\d'",
                    "'\\x41\\n'",
                ])
                .to_owned(),
            _ => self
                .pick(&[
                    "request.path",
                    "request.url_path",
                    "request.method",
                    "request.host",
                    "request.headers['x-num']",
                    "request.headers['x-text']",
                    "request['method']",
                    "request.query",
                    "request.scheme",
                ])
                .to_owned(),
        }
    }

    fn number(&mut self, depth: usize) -> String {
        match self.below(6) {
            0 | 1 if depth > 0 => {
                let operator = self.pick(&["+", "-", "*", "/", "%"]);
                format!("({} {operator} {})", self.number(depth - 1), self.number(depth - 1))
            }
            2 if depth > 0 => format!("size({})", self.text(depth - 1)),
            3 if depth > 0 => format!("int({})", self.text(depth - 1)),
            _ => self
                .pick(&[
                    "0",
                    "1",
                    "2",
                    "-3",
                    "7",
                    "0x10",
                    "2u",
                    "1.5",
                    "request.size",
                    "response.code",
                    "request.total_size * 0",
                ])
                .to_owned(),
        }
    }

    fn leaf_bool(&mut self) -> &'static str {
        self.pick(&["true", "false", "request.method == 'GET'", "has(request.referer)"])
    }
}

/// Written by hand: grammar, literals, escapes, errors, and what the host alone evaluates.
#[rustfmt::skip]
const HAND: &[&str] = &[
    "1 + 2 * 3 - 4 / 2 % 3", "-(1)", "--1", "- -1", "!true", "!!true", "1 < 2 == true", "1 == 1 == true",
    "1 < 2 < 3", "true ? 1 : false ? 2 : 3", "(true ? false : true) ? 1 : 2", "true || false && false",
    "(true || false) && false", "0x1f", "0X1F", "-0x10", "0x1fu", "1e3", "1E3", "1e-3", ".5", "1.5e2", "1.25",
    "12u", "12U", "1.", "1..a", "0xg", "'\\a\\b\\f\\n\\r\\t\\v\\\\\\'\\\"\\`\\?'",
    "'\\x41\\X42\\u00e9\\U0001F600\\101'", "'\\377'", "'\\400'", "'\\ud800'", "'\\U00110000'", "'\\q'",
    "b'\\u0041'", "b'\\377\\x00'", "B'a'", "r'\\x41'", "R\"\\\\\"", "br'\\x41'", "rb'a'", "'''a'b''c'''",
    "\"\"\"a\"b\"\"\"", "'a' 'b'", "'a", "\"a'", "b'é' == b'\\xc3\\xa9'", "'\\xff' == 'ÿ'", "1 // comment",
    "// only a comment", "", " ", "(", ")", "()", "[", "]", "{", "}", "1 +", "+ 1", "1 1", "a b", "a..b",
    ".request.method", ".true", "request . method", "request.\nmethod", "if", "package", "in", "null", "true1",
    "_a", "request.package", "request.in", "request.true", "request.headers.package", "f(", "f(,)",
    "size('a',)", "size()", "size('a', 'b')", "'a'.size()", "'a'.size('b')", "'a'.string()",
    "startsWith('abc', 'a')", "matches('abc', 'b')", "contains('abc', 'z')", "endsWith('abc', 'c')",
    "'abc'.startsWith()", "'abc'.startsWith('a', 'b')", "nosuch('a')", "'a'.nosuch()", "has(request)",
    "has(request.path.x)", "has(request.headers['x'])", "has(1)", "has()", "has(a.b, c.d)",
    "has(request.headers)", "has({'a': 1}.a)", "[1, 2, 3][1]", "[1, 2,]", "{'a': 1,}", "{'a': 1}['a']",
    "{'a': 1}.a", "{1: 2}[1]", "{}", "[]", "1 in []", "'a' in []", "'a' in {'a': 1}", "[1] == [1.0]",
    "[1] + [2] == [1, 2]", "size([1, 2])", "size({1: 2})", "[1, 2].all(x, x > 0)", "[1, 2].exists(x, x > 1)",
    "[1, 2].exists_one(x, x > 1)", "[1, 2].map(x, x * 2)", "[1, 2].filter(x, x > 1)", "type(1) == int",
    "dyn(1) == 1", "uint('1')", "double('1.5')", "bool('true')", "bytes('a')", "string(1.5)", "string(1e21)",
    "string(timestamp('2020-01-01T00:00:00Z'))", "timestamp('2020-01-01T00:00:00Z').getFullYear()",
    "duration('1h1m1s1ms1us1ns')", "duration('-1.5h')", "duration('1')", "duration('')", "duration('1.5ns')",
    "string(duration('0s'))", "string(duration('1ns'))", "string(duration('-1.5s'))", "string(duration('1h'))",
    "duration('1s') < duration('1001ms')", "duration('1s') + duration('1s')", "duration('1s') * 2",
    "request.duration > duration('0s')", "request.duration >= 0",
    "request.time > timestamp('2020-01-01T00:00:00Z')", "request", "request.nope", "nosuch", "nosuch.a",
    "has(request.nope)", "has(nosuch.a)", "nosuch || true", "nosuch && false", "request['path']",
    "request['pa' + 'th']", "request.headers[request.method]", "request.headers[1]", "request.path[0]",
    "request.path.x", "request.headers == {}", "size(request.headers) > 0", "1 in request.headers",
    "'path' in request", "request.headers[':method']", "request.headers[':path']", "request.headers['HOST']",
    "request.headers.host", "has(request.headers.host)", "request.headers['x-bad']",
    "size(request.headers['x-bad'])", "string(b'\\xff')", "string(b'a')", "size(b'é')", "size('é')",
    "request.headers['x-bad'] == 'A'", "request.headers['x-bad'].endsWith('A')",
    "request.headers['x-bad'].contains('')", "'A' in [request.headers['x-bad']]",
    "request.headers['x-text'].size()", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551616u", "1u - 2u", "-1u", "9223372036854775807 + 1", "-9223372036854775808 - 1",
    "-9223372036854775808 / -1", "-9223372036854775808 % -1", "9223372036854775807 * 2",
    "-(-9223372036854775808)", "18446744073709551615u + 1u", "5 % -3", "-5 % 3", "5 / -3", "1.0 % 1.0",
    "1.0 / 0.0 == 1.0 / 0.0", "0.0 / 0.0 == 0.0 / 0.0", "0.0 / 0.0 < 1.0", "0.0 / 0.0 in [0.0 / 0.0]",
    "-0.0 == 0.0", "9007199254740993 == 9007199254740992.0", "9223372036854775807 == 9223372036854775807.0",
    "9223372036854775807 < 9223372036854775807.0", "18446744073709551615u == 18446744073709551615.0", "1u == 1",
    "-1 < 0u", "1 == 1.5", "1 < 1.5", "2u > 1.5", "'a' < 'ab'", "'Z' < 'a'", "'é' > 'z'", "b'\\xff' > b'a'",
    "true > false", "null == null", "null != 1", "null < null", "'a' == 1", "'a' || true", "true || 'a'",
    "'a' && false", "false && 'a'", "!'a'", "1 ? 2 : 3", "true && 1", "1/0 == 1 || true", "true || 1/0 == 1",
    "1/0 == 1 && false", "1/0 == 1 || false", "true ? 1 : 1/0", "false ? 1/0 : 2", "1/0 == 1 ? 1 : 2",
    "'a'.matches('(')", "'a'.matches('**')", "'a'.matches('\\\\1')", "'a b'.matches('\\\\bb')",
    "'a'.matches(request.method)", "'a'.matches('[')", "'a'.matches('\\\\pL')", "'a'.matches('x{1001}')",
    "google.protobuf.Int64Value{value: 1}", "a.b{c: 1}", "xds.node.id == 'n1'", "xds.route_name",
    "connection.mtls", "filter_state['x'] == 1 || true", "has(xds.cluster_metadata.x)", "response.code",
    "response.code == 201", "response.code >= 200 && response.code < 300", "string(response.code)",
    "response.flags", "request.protocol", "request.useragent", "connection.requested_server_name",
    "connection.tls_version", "response.grpc_status",
];
