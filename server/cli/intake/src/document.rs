//! The document of `save`, from JSON to a request. Pure; names are passed on as they stand.
//!
//! What is not understood is refused with its path (`changes[0].values.City`), never passed over: a misspelt field must
//! not look as if it had been saved.

use std::fmt;

use mytism_core::blob::{Blob, UNKNOWN_TYPE};
use mytism_core::failure::{Failure, nearest};
use mytism_core::id::{Hash, ObjectId};
use mytism_core::operation::{ChangeRequest, ChangeTarget, Input, ReferenceInput, SaveRequest};
use serde_json::{Map, Value as Json};

use crate::json;

/// The longest document, in bytes; a request that is larger could not be sent either.
pub const BYTES_MAX: u64 = 64 << 20;

/// What a document stands for.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Document {
    /// The request. Where a file belongs, it has nothing.
    pub request: SaveRequest,
    /// The files whose contents belong into it.
    pub files: Vec<FileInput>,
}

/// A file in a document, `{"file":"path"}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileInput {
    /// Place of the change in the request, from 0.
    pub change: usize,
    /// Name of the attribute.
    pub attribute: String,
    /// Where the file is, as written.
    pub path: String,
    /// Its name, where another one than the path's is wanted.
    pub name: Option<String>,
    /// Its media type, where it is not to be guessed.
    pub media_type: Option<String>,
}

/// The request that a document stands for.
///
/// # Errors
/// `json-syntax` with line and column, or `wrong-document` with the path or place of what is wrong.
pub fn read(text: &str) -> Result<Document, Failure> {
    let document = json::read(text).map_err(|error| syntax(&error))?;
    let root = Path::Root;
    let fields = fields(&document, &root, &["description", "changes"])?;
    let description = match fields.get("description") {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(_) => return Err(root.below("description").wrong("a text is expected")),
    };
    let path = root.below("changes");
    let Some(changes) = fields.get("changes") else { return Err(path.wrong("it is missing")) };
    let Json::Array(changes) = changes else { return Err(path.wrong("a list is expected")) };
    let mut files = Vec::new();
    let changes = changes.iter().enumerate().map(|(index, json)| change(json, index, &path.item(index), &mut files));
    let changes = changes.collect::<Result<_, _>>()?;
    Ok(Document { request: SaveRequest { description, changes }, files })
}

fn syntax(error: &serde_json::Error) -> Failure {
    let whole = error.to_string();
    let message = whole.split(" at line ").next().unwrap_or(&whole);
    // At the end of a line the parser says column 0.
    let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).max(1);
    let (line, column) = (place(error.line()), place(error.column()));
    let failure = if error.is_data() {
        Failure::usage("wrong-document", format!("the document: line {line} column {column}: {message}"))
    } else {
        Failure::usage("json-syntax", format!("the document is no JSON: line {line} column {column}: {message}"))
    };
    failure.at(line, column)
}

/// A place in the document. It is put into words only where something is wrong: the words for each of many places would
/// take far more work than the document itself, since a field may have a name of any length.
enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    const fn below(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    const fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }

    /// What is wrong here.
    fn wrong(&self, message: &str) -> Failure {
        Failure::usage("wrong-document", format!("{self}: {message}"))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("the document"),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(above, name) => write!(f, "{above}.{name}"),
            Self::Item(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

/// The fields of an object, if it has no others than the known ones.
fn fields<'j>(json: &'j Json, path: &Path<'_>, known: &[&str]) -> Result<&'j Map<String, Json>, Failure> {
    let Json::Object(fields) = json else { return Err(path.wrong("an object is expected")) };
    let Some(unknown) = fields.keys().find(|name| !known.contains(&name.as_str())) else { return Ok(fields) };
    let failure = path.below(unknown).wrong("there is no such field");
    let near = nearest(unknown, known.iter().copied()).map(|near| format!("did you mean \"{near}\"?"));
    Err(failure.hint(near.unwrap_or_else(|| format!("possible are {}", known.join(", ")))))
}

fn change(json: &Json, index: usize, path: &Path<'_>, files: &mut Vec<FileInput>) -> Result<ChangeRequest, Failure> {
    let is_new = json.get("new").is_some();
    let known: &[&str] = if is_new { &["new", "entity", "values"] } else { &["id", "values", "expect", "delete"] };
    let found = fields(json, path, known)?;
    let target = if is_new { new_object(found, path)? } else { known_object(found, path)? };
    let delete = match found.get("delete") {
        None | Some(Json::Null) => None,
        Some(Json::Bool(delete)) => Some(*delete),
        Some(_) => return Err(path.below("delete").wrong("true or false is expected")),
    };
    let given = values(found, path, "values", &mut |attribute, json, path| {
        files.push(file(index, attribute, json, path)?);
        Ok(())
    })?;
    let expect = values(found, path, "expect", &mut |_, _, path| {
        let hint = "write what `show` says of it: {\"hash\":…,\"bytes\":…,\"name\":…,\"type\":…}";
        Err(path.wrong("a file is no value that was seen").hint(hint))
    })?;
    Ok(ChangeRequest { target, values: given, expect, delete })
}

fn new_object(fields: &Map<String, Json>, path: &Path<'_>) -> Result<ChangeTarget, Failure> {
    let text = |name: &str, missing: &str| match fields.get(name) {
        Some(Json::String(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err(path.below(name).wrong(missing)),
    };
    Ok(ChangeTarget::New {
        label: text("new", "a text is expected, by which the document names the new object")?,
        entity: text("entity", "the name of the new object's entity is expected")?,
    })
}

fn known_object(fields: &Map<String, Json>, path: &Path<'_>) -> Result<ChangeTarget, Failure> {
    match fields.get("id") {
        Some(json) => Ok(ChangeTarget::Object(id(json, &path.below("id"))?)),
        None => Err(path.wrong("it names no object").hint("write \"id\":NUMBER, or \"new\":\"LABEL\" for a new one")),
    }
}

fn id(json: &Json, path: &Path<'_>) -> Result<ObjectId, Failure> {
    let digits = match json {
        Json::Number(number) => number.to_string(),
        Json::String(text) => text.clone(),
        _ => String::new(),
    };
    digits.parse().map_err(|_| path.wrong("the id of an object is expected, a whole number from 1 to 9007199254740991"))
}

/// Takes a file, the name of its attribute before it.
type OnFile<'a> = dyn FnMut(&str, &Json, &Path<'_>) -> Result<(), Failure> + 'a;

fn values(
    fields: &Map<String, Json>,
    path: &Path<'_>,
    name: &str,
    on_file: &mut OnFile<'_>,
) -> Result<Vec<(String, Input)>, Failure> {
    let path = path.below(name);
    match fields.get(name) {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::Object(values)) => {
            let value = |(name, json): (&String, &Json)| {
                let path = path.below(name);
                if json.get("file").is_some() {
                    on_file(name, json, &path)?;
                    return Ok((name.clone(), Input::Null));
                }
                Ok((name.clone(), input(json, &path)?))
            };
            values.iter().map(value).collect()
        }
        Some(_) => Err(path.wrong("an object is expected, with attribute names and values")),
    }
}

/// A value as a document writes it. The depth is bounded by the JSON parser.
fn input(json: &Json, path: &Path<'_>) -> Result<Input, Failure> {
    match json {
        Json::Null => Ok(Input::Null),
        Json::Bool(given) => Ok(Input::Bool(*given)),
        Json::Number(digits) => Ok(Input::Number(digits.to_string())),
        Json::String(text) => Ok(Input::Text(text.clone())),
        Json::Array(_) => Ok(Input::List(references(json, path)?)),
        Json::Object(found) if found.contains_key("ref") => Ok(Input::Reference(reference(json, path)?)),
        Json::Object(found) if found.contains_key("add") || found.contains_key("remove") => {
            fields(json, path, &["add", "remove"])?;
            let part = |name: &str| found.get(name).map_or(Ok(Vec::new()), |json| references(json, &path.below(name)));
            Ok(Input::Difference { add: part("add")?, remove: part("remove")? })
        }
        Json::Object(found) if found.contains_key("json") => {
            fields(json, path, &["json"])?;
            // What it holds is kept as the text that it is.
            Ok(found
                .get("json")
                .filter(|json| !json.is_null())
                .map_or(Input::Null, |json| Input::Text(json.to_string())))
        }
        Json::Object(found) if found.contains_key("hash") => {
            content(json, path).map(|blob| Input::Blob(Box::new(blob)))
        }
        Json::Object(_) => {
            let hint = "a reference is {\"ref\":…}, a file is {\"file\":\"path\"}, JSON is {\"json\":…}, a change of a set is \
                        {\"add\":[…],\"remove\":[…]}";
            Err(path.wrong("this object is no value").hint(hint))
        }
    }
}

fn file(change: usize, attribute: &str, json: &Json, path: &Path<'_>) -> Result<FileInput, Failure> {
    let found = fields(json, path, &["file", "name", "type"])?;
    let text = |name: &str| match found.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(path.below(name).wrong("a text is expected")),
    };
    let (name, media_type) = (text("name")?, text("type")?);
    let place = text("file")?.filter(|text| !text.is_empty());
    let place = place.ok_or_else(|| path.below("file").wrong("the path of a file is expected"))?;
    Ok(FileInput { change, attribute: attribute.to_owned(), path: place, name, media_type })
}

/// What answers say of the content of a file, so that an answer can be sent back.
fn content(json: &Json, path: &Path<'_>) -> Result<Blob, Failure> {
    let found = fields(json, path, &["hash", "bytes", "name", "type", "here"])?;
    let text = |name: &str| found.get(name).and_then(Json::as_str);
    let hash = text("hash").and_then(Hash::from_hex);
    let hash = hash.ok_or_else(|| path.below("hash").wrong("64 hexadecimal digits in small letters are expected"))?;
    let bytes = found.get("bytes").and_then(Json::as_u64);
    let bytes = bytes.ok_or_else(|| path.below("bytes").wrong("a whole number is expected, how many bytes it has"))?;
    let name = text("name").ok_or_else(|| path.below("name").wrong("the name of a file is expected"))?;
    let media_type = if found.contains_key("type") { text("type").unwrap_or_default() } else { UNKNOWN_TYPE };
    Blob::new(hash, bytes, name, media_type).ok_or_else(|| {
        path.wrong("this is no content of a file: a name has 1 … 255 bytes without control characters, a type 1 … 127")
    })
}

fn references(json: &Json, path: &Path<'_>) -> Result<Vec<ReferenceInput>, Failure> {
    let Json::Array(items) = json else { return Err(path.wrong("a list of references is expected")) };
    items.iter().enumerate().map(|(index, item)| reference(item, &path.item(index))).collect()
}

/// `{"ref":…}`. The `text` that answers carry beside it may stay, so that an answer can be sent back.
fn reference(json: &Json, path: &Path<'_>) -> Result<ReferenceInput, Failure> {
    if !json.is_object() {
        return Err(path.wrong("a reference is expected").hint("write {\"ref\":NUMBER}"));
    }
    let found = fields(json, path, &["ref", "text"])?;
    let path = path.below("ref");
    match found.get("ref") {
        Some(Json::String(label)) => Ok(ReferenceInput::Label(label.clone())),
        Some(number @ Json::Number(_)) => Ok(ReferenceInput::Id(id(number, &path)?)),
        Some(key @ Json::Object(_)) => key_of(key, &path),
        _ => {
            let hint = "write an id, the label of a new object, or {\"ENTITY\":{\"KEY\":VALUE}}";
            Err(path.wrong("it names no object").hint(hint))
        }
    }
}

fn key_of(json: &Json, path: &Path<'_>) -> Result<ReferenceInput, Failure> {
    let (entity, inner) = only(json, path, "the name of an entity")?;
    let path = path.below(entity);
    let (attribute, value) = only(inner, &path, "the name of a unique attribute")?;
    let value = input(value, &path.below(attribute))?;
    Ok(ReferenceInput::Key { entity: entity.clone(), attribute: attribute.clone(), value: Box::new(value) })
}

fn only<'j>(json: &'j Json, path: &Path<'_>, what: &str) -> Result<(&'j String, &'j Json), Failure> {
    let fields = json.as_object().filter(|fields| fields.len() == 1);
    fields.and_then(|fields| fields.iter().next()).ok_or_else(|| path.wrong(&format!("one field is expected, {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(number: i64) -> ObjectId {
        ObjectId::new(number).unwrap()
    }

    #[test]
    fn the_document_of_the_contract() {
        let text = r#"{"description":"d","changes":[
            {"new":"c1","entity":"Customer","values":{"Name":"A","Limit":12.50}},
            {"id":1000123,"values":{"City":"Bonn"},"expect":{"City":"Berlin"}},
            {"id":7,"delete":true}]}"#;
        let named = |name: &str, value: Input| (name.to_owned(), value);
        let change = |target, values, expect, delete| ChangeRequest { target, values, expect, delete };
        let text_of = |text: &str| Input::Text(text.into());
        let expected = SaveRequest {
            description: "d".into(),
            changes: vec![
                change(
                    ChangeTarget::New { label: "c1".into(), entity: "Customer".into() },
                    vec![named("Name", text_of("A")), named("Limit", Input::Number("12.50".into()))],
                    Vec::new(),
                    None,
                ),
                change(
                    ChangeTarget::Object(object(1_000_123)),
                    vec![named("City", text_of("Bonn"))],
                    vec![named("City", text_of("Berlin"))],
                    None,
                ),
                change(ChangeTarget::Object(object(7)), Vec::new(), Vec::new(), Some(true)),
            ],
        };
        assert_eq!(read(text), Ok(Document { request: expected, files: Vec::new() }));
    }

    #[test]
    fn files_are_told_beside_the_request() {
        let text =
            r#"{"changes":[{"id":1,"values":{}},{"id":2,"values":{"A":1,"B":{"file":"x/a.pdf","type":"a/b"}}}]}"#;
        let document = read(text).unwrap();
        assert_eq!(document.request.changes[1].values[1], ("B".to_owned(), Input::Null));
        let file = FileInput {
            change: 1,
            attribute: "B".into(),
            path: "x/a.pdf".into(),
            name: None,
            media_type: Some("a/b".into()),
        };
        assert_eq!(document.files, [file]);
    }

    #[test]
    fn values() {
        let check = |json: &str, expected: Input| {
            let request = read(&format!(r#"{{"changes":[{{"id":1,"values":{{"A":{json}}}}}]}}"#)).unwrap().request;
            assert_eq!(request.changes[0].values[0].1, expected, "{json}");
        };
        let hash = "ab".repeat(32);
        let blob = Blob::new(Hash([0xab; 32]), 5, "a b", "text/plain").unwrap();
        check(
            &format!(r#"{{"hash":"{hash}","bytes":5,"name":"a b","type":"text/plain","here":true}}"#),
            Input::Blob(Box::new(blob)),
        );
        let by_id = |number| ReferenceInput::Id(object(number));
        let by_key = ReferenceInput::Key {
            entity: "Customer".into(),
            attribute: "CustomerID".into(),
            value: Box::new(Input::Text("ALFKI".into())),
        };
        check("null", Input::Null);
        check("true", Input::Bool(true));
        check("12345678901234567890.10", Input::Number("12345678901234567890.10".into()));
        check("1e3", Input::Number("1e+3".into()));
        check("\"ä\"", Input::Text("ä".into()));
        check(r#"{"ref":1000123}"#, Input::Reference(by_id(1_000_123)));
        check(r#"{"ref":7,"text":"shown"}"#, Input::Reference(by_id(7)));
        check(r#"{"ref":"c1"}"#, Input::Reference(ReferenceInput::Label("c1".into())));
        check(r#"{"ref":{"Customer":{"CustomerID":"ALFKI"}}}"#, Input::Reference(by_key));
        check("[]", Input::List(Vec::new()));
        check(r#"[{"ref":1},{"ref":2}]"#, Input::List(vec![by_id(1), by_id(2)]));
        check(r#"{"add":[{"ref":1}]}"#, Input::Difference { add: vec![by_id(1)], remove: Vec::new() });
        check(r#"{"add":[],"remove":[{"ref":2}]}"#, Input::Difference { add: Vec::new(), remove: vec![by_id(2)] });
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_path() {
        let check = |text: &str, code: &str, message: &str, hint: &str| {
            let failure = read(text).unwrap_err();
            assert_eq!((failure.code.as_str(), failure.kind.exit_status()), (code, 2), "{text}");
            assert!(failure.message.contains(message), "{text}: {failure:?}");
            assert!(failure.hint.contains(hint), "{text}: {failure:?}");
        };
        let wrong = |text: &str, message: &str, hint: &str| check(text, "wrong-document", message, hint);
        let value = |json: &str| format!(r#"{{"changes":[{{"id":1,"values":{{"A":{json}}}}}]}}"#);
        wrong("[]", "the document: an object", "");
        wrong("{}", "changes: it is missing", "");
        wrong(r#"{"changes":{}}"#, "changes: a list", "");
        wrong(r#"{"chnages":[]}"#, "chnages: there is no such field", "\"changes\"");
        wrong(r#"{"description":5,"changes":[]}"#, "description: a text", "");
        wrong(r#"{"changes":[{}]}"#, "changes[0]: it names no object", "\"id\"");
        wrong(r#"{"changes":[{"id":1},{"id":0}]}"#, "changes[1].id: the id", "");
        wrong(r#"{"changes":[{"id":1,"entity":"C"}]}"#, "changes[0].entity", "possible are id");
        wrong(r#"{"changes":[{"new":"a"}]}"#, "changes[0].entity: the name", "");
        wrong(r#"{"changes":[{"new":"a","entity":"C","expect":{}}]}"#, "changes[0].expect", "");
        wrong(r#"{"changes":[{"id":1,"delete":1}]}"#, "changes[0].delete: true", "");
        wrong(r#"{"changes":[{"id":1,"values":[]}]}"#, "changes[0].values: an object", "");
        wrong(&value(r#"{"reff":1}"#), "changes[0].values.A: this object is no value", "\"ref\"");
        wrong(&value(r#"{"ref":1.5}"#), "changes[0].values.A.ref: the id", "");
        wrong(&value(r#"{"ref":null}"#), "changes[0].values.A.ref: it names no object", "");
        wrong(&value(r#"{"ref":{"C":{}}}"#), "changes[0].values.A.ref.C: one field", "");
        wrong(&value(r#"{"ref":1,"x":2}"#), "changes[0].values.A.x", "");
        wrong(&value("[1]"), "changes[0].values.A[0]: a reference", "");
        wrong(&value(r#"{"add":5}"#), "changes[0].values.A.add: a list", "");
        wrong(&value(r#"{"add":[],"remov":[]}"#), "changes[0].values.A.remov", "\"remove\"");
        wrong(&value(r#"{"file":5}"#), "changes[0].values.A.file: a text", "");
        wrong(&value(r#"{"file":""}"#), "changes[0].values.A.file: the path", "");
        wrong(&value(r#"{"file":"a","nam":"b"}"#), "changes[0].values.A.nam", "\"name\"");
        wrong(r#"{"changes":[{"id":1,"expect":{"A":{"file":"a"}}}]}"#, "changes[0].expect.A: a file is no", "hash");
        wrong(&value(r#"{"hash":"ab"}"#), "changes[0].values.A.hash: 64", "");
        let hash = "ab".repeat(32);
        wrong(&value(&format!(r#"{{"hash":"{hash}"}}"#)), "changes[0].values.A.bytes", "");
        wrong(&value(&format!(r#"{{"hash":"{hash}","bytes":1}}"#)), "changes[0].values.A.name", "");
        wrong(&value(&format!(r#"{{"hash":"{hash}","bytes":1,"name":""}}"#)), "changes[0].values.A: this is no", "");
        wrong(r#"{"changes":[],"changes":[]}"#, "line 1 column 23: the field \"changes\" stands twice", "");
        wrong(&value(r#"1,"A":2"#), "the field \"A\" stands twice", "");
        check("{\"changes\":[\n,]}", "json-syntax", "line 2 column 1", "");
        check("", "json-syntax", "EOF", "");
        check("{\"changes\":[]} x", "json-syntax", "trailing", "");
        check(&format!("{{\"changes\":{}", "[".repeat(100_000)), "json-syntax", "recursion", "");
    }
}
