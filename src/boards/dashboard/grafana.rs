//! Dashboards as Grafana's JSON, schema version 39 (Grafana 10 and later).

use super::{Dashboard, Kind, Panel, Query, Row, Unit, Values, Variable};
use serde_json::{Value, json};

const SCHEMA_VERSION: u8 = 39;
const COLUMNS: u8 = 24;
/// Height of a panel in Grafana's grid; of one that shows a number, and of a row's title.
const TALL: u32 = 8;
const LOW: u32 = 4;
const TITLE: u32 = 1;

impl Dashboard {
    /// The dashboard as Grafana reads it, from a file or from its API.
    pub fn to_grafana(&self) -> Value {
        let mut place = Place::default();
        let panels: Vec<Value> = self.rows.iter().flat_map(|row| place.row(row)).collect();
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["opmeter", "istio"],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": true,
            "graphTooltip": 1,
            "timezone": "",
            "refresh": "30s",
            "time": { "from": "now-30m", "to": "now" },
            "links": [{
                "title": "opmeter",
                "type": "dashboards",
                "tags": ["opmeter"],
                "asDropdown": false,
                "includeVars": false,
                "keepTime": true,
                "targetBlank": false,
                "icon": "external link",
                "tooltip": "",
                "url": "",
            }],
            "annotations": { "list": [] },
            "templating": { "list": self.templating() },
            "panels": panels,
        })
    }

    fn templating(&self) -> Vec<Value> {
        let source = json!({
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "hide": 0,
        });
        std::iter::once(source)
            .chain(self.variables.iter().map(|variable| variable.to_grafana()))
            .collect()
    }
}

impl Variable {
    fn to_grafana(self) -> Value {
        let (name, label) = (self.name, self.title);
        let Some((series, value)) = self.values.series() else {
            let Values::Fixed(values) = self.values else { return Value::Null };
            let option = |text: &&str| json!({ "text": text, "value": text, "selected": false });
            return json!({
                "name": name,
                "label": label,
                "type": "custom",
                "query": values.join(","),
                "options": values.iter().map(option).collect::<Vec<_>>(),
                "current": values.first().map(option),
                "multi": false,
                "includeAll": false,
                "hide": 0,
            });
        };
        let (query, regex) = match self.values {
            Values::Ends(..) => (format!("query_result({series})"), r#"/value="([^"]+)"/"#),
            _ => (format!("label_values({series}, {value})"), ""),
        };
        json!({
            "name": name,
            "label": label,
            "type": "query",
            "datasource": datasource(),
            "query": { "query": query, "refId": name },
            "regex": regex,
            // When the dashboard's time changes: what is called today was not always there.
            "refresh": 2,
            "sort": 1,
            "multi": true,
            "includeAll": true,
            "allValue": ".*",
            "current": { "text": "All", "value": "$__all", "selected": true },
            "hide": 0,
        })
    }
}

/// Where the next panel goes.
#[derive(Debug, Default)]
struct Place {
    id: u32,
    x: u8,
    y: u32,
    /// Height of the panels beside it.
    height: u32,
}

impl Place {
    fn row(&mut self, row: &Row) -> Vec<Value> {
        self.wrap();
        let mut title = json!({
            "id": self.next_id(),
            "type": "row",
            "title": row.title,
            "collapsed": false,
            "gridPos": { "h": TITLE, "w": COLUMNS, "x": 0, "y": self.y },
            "panels": [],
        });
        if let Some(variable) = row.repeat {
            title["repeat"] = variable.into();
        }
        self.y += TITLE;
        let panels: Vec<Value> = row.panels.iter().map(|panel| self.panel(panel)).collect();
        std::iter::once(title).chain(panels).collect()
    }

    fn panel(&mut self, panel: &Panel) -> Value {
        if self.x + panel.width > COLUMNS {
            self.wrap();
        }
        let height = if panel.kind == Kind::Stat { LOW } else { TALL };
        let position = json!({ "h": height, "w": panel.width, "x": self.x, "y": self.y });
        self.x += panel.width;
        self.height = self.height.max(height);
        panel.to_grafana(self.next_id(), &position)
    }

    fn wrap(&mut self) {
        self.y += self.height;
        (self.x, self.height) = (0, 0);
    }

    fn next_id(&mut self) -> u32 {
        self.id += 1;
        self.id
    }
}

impl Panel {
    fn to_grafana(&self, id: u32, position: &Value) -> Value {
        let targets: Vec<Value> =
            self.queries.iter().enumerate().map(|(at, query)| self.target(at, query)).collect();
        let mut panel = json!({
            "id": id,
            "type": self.kind.grafana(),
            "title": self.title,
            "description": self.description,
            "datasource": datasource(),
            "gridPos": position,
            "targets": targets,
            "fieldConfig": { "defaults": self.field_defaults(), "overrides": [] },
            "options": self.options(),
        });
        if self.kind == Kind::Table {
            panel["transformations"] = json!(self.transformations());
        }
        panel
    }

    fn target(&self, at: usize, query: &Query) -> Value {
        let format = match self.kind {
            Kind::Heatmap => "heatmap",
            Kind::Table => "table",
            _ => "time_series",
        };
        json!({
            "refId": reference(at),
            "datasource": datasource(),
            "expr": query.expr,
            "legendFormat": query.legend,
            "format": format,
            "instant": self.kind.is_instant(),
            "range": !self.kind.is_instant(),
            "editorMode": "code",
        })
    }

    fn field_defaults(&self) -> Value {
        let mut defaults = json!({ "unit": self.unit.grafana(), "min": 0 });
        match self.kind {
            Kind::Lines => {
                defaults["custom"] =
                    json!({ "lineWidth": 2, "fillOpacity": 5, "showPoints": "never" });
            }
            Kind::Stacked => {
                let stacking = json!({ "mode": "normal", "group": "A" });
                defaults["custom"] = json!({
                    "lineWidth": 1, "fillOpacity": 40, "showPoints": "never", "stacking": stacking,
                });
            }
            Kind::Heatmap => defaults = json!({}),
            Kind::Stat | Kind::Table => {}
        }
        if self.unit == Unit::Share && self.kind == Kind::Lines {
            defaults["max"] = 1.into();
        }
        // What may be below zero is not cut off.
        let signed = |query: &Query| query.expr.contains(" - ") && !query.expr.starts_with("1 - (");
        if self.queries.iter().any(signed)
            && let Some(defaults) = defaults.as_object_mut()
        {
            defaults.remove("min");
        }
        defaults
    }

    fn options(&self) -> Value {
        match self.kind {
            Kind::Lines | Kind::Stacked => json!({
                "legend": { "displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["lastNotNull", "max"] },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
            Kind::Heatmap => json!({
                "calculate": false,
                "cellGap": 1,
                "color": { "mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange",
                    "scale": "exponential", "reverse": false },
                "yAxis": { "unit": self.unit.grafana(), "axisPlacement": "left" },
                "rowsFrame": { "layout": "auto" },
                "legend": { "show": true },
                "tooltip": { "show": true, "yHistogram": true },
            }),
            Kind::Stat => json!({
                "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
                "colorMode": "value",
                "graphMode": "none",
                "textMode": "auto",
                "justifyMode": "auto",
                "orientation": "auto",
            }),
            Kind::Table => json!({ "showHeader": true, "cellHeight": "sm" }),
        }
    }

    /// One row for each label set, one column for each query.
    fn transformations(&self) -> Vec<Value> {
        let names = self.queries.iter().enumerate();
        let renames: serde_json::Map<String, Value> = match self.queries.as_slice() {
            [only] => [("Value".to_owned(), only.legend.into())].into_iter().collect(),
            _ => names
                .map(|(at, query)| (format!("Value #{}", reference(at)), query.legend.into()))
                .collect(),
        };
        let order: serde_json::Map<String, Value> = self
            .columns
            .iter()
            .map(|column| (*column).to_owned())
            .chain(renames.keys().cloned())
            .enumerate()
            .filter(|_| !self.columns.is_empty())
            .map(|(at, column)| (column, at.into()))
            .collect();
        let options = json!({
            "excludeByName": { "Time": true },
            "indexByName": order,
            "renameByName": renames,
        });
        vec![
            json!({ "id": "merge", "options": {} }),
            json!({ "id": "organize", "options": options }),
        ]
    }
}

impl Kind {
    fn grafana(self) -> &'static str {
        match self {
            Self::Lines | Self::Stacked => "timeseries",
            Self::Heatmap => "heatmap",
            Self::Stat => "stat",
            Self::Table => "table",
        }
    }
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// A, B, C and so on; no panel has more queries than letters.
fn reference(at: usize) -> char {
    ('A'..='Z').nth(at).unwrap_or('Z')
}
