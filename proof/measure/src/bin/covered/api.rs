//! The public functions of a crate, from rustdoc's JSON: free functions, methods, functions of trait impls that are
//! neither derived nor blanket, and functions that a trait provides.
//!
//! Each is named as [`crate::symbol`] names the symbols of an object.

use crate::symbol::{ARRAY, PROVIDED, REFERENCE, SLICE};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The crate's name and the names of its functions.
pub fn functions(document: &Value) -> Result<(String, BTreeSet<String>)> {
    let items = document["index"].as_object().context("the JSON has no index")?;
    let root = document["root"].to_string();
    let api =
        Api { items, name: items.get(&root).and_then(|root| root["name"].as_str()).context("no root")? };
    let lists =
        items.values().flat_map(|item| [&item["inner"]["impl"]["items"], &item["inner"]["trait"]["items"]]);
    let members: BTreeSet<_> = lists.filter_map(Value::as_array).flatten().map(Value::to_string).collect();
    let mut functions = BTreeSet::new();
    for (id, item) in items {
        if item["crate_id"] != 0 {
            continue;
        }
        let (kind, inner) = inner(item)?;
        let names = match kind {
            "function" if !members.contains(id) => {
                vec![format!("{}::{}", api.module(item)?, text(&item["name"])?)]
            }
            "trait" => api.provided(item, inner)?,
            "impl" => api.of_impl(item, inner)?,
            _ => continue,
        };
        for name in names {
            if !functions.insert(name.clone()) {
                bail!("two functions are named {name}");
            }
        }
    }
    if functions.is_empty() {
        bail!("{} has no public functions?", api.name);
    }
    Ok((api.name.to_owned(), functions))
}

struct Api<'a> {
    items: &'a Map<String, Value>,
    name: &'a str,
}

impl Api<'_> {
    fn item(&self, id: &Value) -> Result<&Value> {
        self.items.get(&id.to_string()).with_context(|| format!("the JSON has no item {id}"))
    }

    /// The module that defines an item: that of its file. The JSON's own paths are those that users write.
    fn module(&self, item: &Value) -> Result<String> {
        let file = text(&item["span"]["filename"])?;
        let (_, file) = file.rsplit_once("src/").with_context(|| format!("{file} is in no src"))?;
        let path = file.trim_end_matches(".rs").trim_end_matches("mod").trim_end_matches("lib");
        let path = path.trim_end_matches('/').replace('/', "::");
        Ok(if path.is_empty() { self.name.to_owned() } else { format!("{}::{path}", self.name) })
    }

    fn path(&self, id: &Value) -> Result<String> {
        let item = self.item(id)?;
        Ok(format!("{}::{}", self.module(item)?, text(&item["name"])?))
    }

    /// The functions that are written in a trait, for types that have none of their own.
    fn provided(&self, item: &Value, inner: &Value) -> Result<Vec<String>> {
        let path = format!("{}::{}", self.module(item)?, text(&item["name"])?);
        let mut names = Vec::new();
        for function in self.members(inner)? {
            if function["inner"]["function"]["has_body"] == true {
                names.push(format!("<{PROVIDED} as {path}>::{}", text(&function["name"])?));
            }
        }
        Ok(names)
    }

    fn of_impl(&self, item: &Value, inner: &Value) -> Result<Vec<String>> {
        let is_derived = item["attrs"]
            .as_array()
            .is_some_and(|attrs| attrs.iter().any(|it| it == "automatically_derived"));
        if is_derived || inner["is_synthetic"] == true || !inner["blanket_impl"].is_null() {
            return Ok(Vec::new());
        }
        let this = self.type_name(&inner["for"], "Self")?;
        let owner = match &inner["trait"] {
            Value::Null => format!("<{this}>"),
            of => format!("<{this} as {}>", self.trait_name(of, &this)?),
        };
        let functions = self.members(inner)?;
        functions.iter().map(|function| Ok(format!("{owner}::{}", text(&function["name"])?))).collect()
    }

    /// Those of an impl's or a trait's items that are functions.
    fn members(&self, inner: &Value) -> Result<Vec<&Value>> {
        let ids = inner["items"].as_array().context("an impl or a trait without items")?;
        let items = ids.iter().map(|id| self.item(id)).collect::<Result<Vec<_>>>()?;
        Ok(items.into_iter().filter(|item| item["inner"].get("function").is_some()).collect())
    }

    /// A type of the crate by its path, others by their kind.
    fn type_name(&self, of: &Value, this: &str) -> Result<String> {
        let (kind, inner) = of.as_object().and_then(|of| of.iter().next()).context("a type")?;
        Ok(match kind.as_str() {
            "resolved_path" if self.items.contains_key(&inner["id"].to_string()) => {
                self.path(&inner["id"])?
            }
            "resolved_path" => text(&inner["path"])?.rsplit("::").next().unwrap_or_default().to_owned(),
            "borrowed_ref" => REFERENCE.to_owned(),
            "slice" => SLICE.to_owned(),
            "array" => ARRAY.to_owned(),
            "generic" if inner == "Self" => this.to_owned(),
            "generic" | "primitive" => text(inner)?.to_owned(),
            _ => bail!("src/bin/covered/api.rs cannot name the type {of}"),
        })
    }

    /// A trait with its arguments, but without one that is the type itself: that is what operators have by default.
    fn trait_name(&self, of: &Value, this: &str) -> Result<String> {
        let name = if self.items.contains_key(&of["id"].to_string()) {
            self.path(&of["id"])?
        } else {
            text(&of["path"])?.rsplit("::").next().unwrap_or_default().to_owned()
        };
        let mut arguments = Vec::new();
        for argument in of["args"]["angle_bracketed"]["args"].as_array().into_iter().flatten() {
            if let Some(of) = argument.get("type") {
                arguments.push(self.type_name(of, this)?);
            }
        }
        arguments.retain(|argument| argument != this);
        Ok(if arguments.is_empty() { name } else { format!("{name}<{}>", arguments.join(", ")) })
    }
}

fn inner(item: &Value) -> Result<(&str, &Value)> {
    let (kind, inner) =
        item["inner"].as_object().and_then(|inner| inner.iter().next()).context("an empty item")?;
    Ok((kind, inner))
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}
