//! Work and memory grow no faster than the input.
//!
//! Each shape is given in two sizes. What grows with the square of the size takes [`FACTOR`] times as much per byte for
//! the larger one; what grows evenly takes about the same. Time is that of the own thread alone, so that a busy machine
//! matters little, and one of some tries must do.

use mytism_hostile::Target;
use mytism_hostile::measure::{Taken, taken};

/// How much larger the second size is.
const FACTOR: usize = 16;
/// Per byte of input the larger one may take so many times as much: caches and growing lists, no square.
const MORE_PER_BYTE: u32 = 5;
const TRIES: usize = 5;

type Shape = fn(usize) -> Vec<u8>;

#[track_caller]
fn check(name: &str, what: &str, size: usize, shape: Shape) {
    let target = Target::named(name).unwrap();
    let (small, large) = (shape(size), shape(size * FACTOR));
    let grown = large.len().div_ceil(small.len());
    assert!(grown > FACTOR / 2 && grown < FACTOR * 3, "{what}: {} and {} bytes", small.len(), large.len());
    let of = |input: &[u8]| taken(|| drop((target.run)(input)));
    // The first run fills caches that later ones share.
    let (mut one, mut many) = (of(&small), of(&small));
    for _ in 0..TRIES {
        (one.time, many) = (one.time.max(of(&small).time), of(&large));
        if has_grown_evenly(one, many, grown) {
            return;
        }
    }
    panic!("{name}, {what}: {grown} times as much input takes {many:?}, not {one:?}");
}

fn has_grown_evenly(one: Taken, many: Taken, grown: usize) -> bool {
    let times = u32::try_from(grown).unwrap() * MORE_PER_BYTE;
    let more = u64::from(times);
    many.time < one.time * times && many.asked < (one.asked + 4096) * more && many.memory < (one.memory + 4096) * more
}

fn repeated(before: &str, each: &str, after: &str, times: usize) -> Vec<u8> {
    format!("{before}{}{after}", each.repeat(times)).into_bytes()
}

fn numbered(before: &str, times: usize, after: &str, each: impl Fn(usize) -> String) -> Vec<u8> {
    let all: String = (0..times).map(each).collect();
    format!("{before}{all}{after}").into_bytes()
}

/// Records of a kind with a body, one after another.
fn records(kind: u16, flags: u8, body: &[u8], times: usize) -> Vec<u8> {
    let mut record = Vec::new();
    mytism_format::envelope::write(&mut record, kind, 1, flags, body).unwrap();
    record.repeat(times)
}

#[test]
fn of_the_log() {
    check("transaction", "leaves that may be passed over", 2000, |size| records(0x01ff, 1, b"", size));
    check("transaction", "one long run of bytes", 20_000, |size| records(0x0114, 0, &vec![0x91; size], 1));
    check("entry", "refusals", 2000, |size| records(0x0122, 0, &[0x82, 0xa1, b'c', 0xa0, 0xa1, b'w', 0xa0], size));
    check("object", "slots", 500, |size| {
        let slots: Vec<u8> = (0..u32::try_from(size).unwrap())
            .flat_map(|number| [&(number + 10_000).to_be_bytes()[..], &[0; 8], &[0, 0, 0, 1, 0xc3]].concat())
            .collect();
        let map = mytism_format::map::MapWriter::new(11);
        let map = ["ct", "ht", "v"].into_iter().fold(map, |map, key| map.unsigned(key, 1));
        let map = ["cu", "cn", "hu", "hn", "l", "o", "e"].into_iter().fold(map, |map, key| map.unsigned(key, 1));
        map.binary("s", &slots).finish()
    });
    check("value", "a text", 50_000, |size| {
        let mut bytes = vec![0xdb];
        bytes.extend_from_slice(&u32::try_from(size).unwrap().to_be_bytes());
        bytes.resize(size + 5, b'x');
        bytes
    });
}

#[test]
fn of_schemas() {
    check("schema_xml", "entities", 200, |size| {
        numbered("<Schema name='a'>", size, "</Schema>", |at| format!("<Entity name='E{at}'/>"))
    });
    check("schema_xml", "strangers", 2000, |size| repeated("<Schema>", "<x/>", "</Schema>", size));
    check("schema_xml", "nesting", 2000, |size| {
        format!("<Schema>{}{}</Schema>", "<a>".repeat(size), "</a>".repeat(size)).into_bytes()
    });
    check("schema_xml", "namespaces side by side", 500, |size| {
        numbered("<Schema>", size, "</Schema>", |at| format!("<a xmlns:b{at}='c{at}'/>"))
    });
    check("schema_xml", "namespaces within each other", 100, |size| {
        let open: String = (0..size).map(|at| format!("<a xmlns:b{at}='c{at}'>")).collect();
        format!("<Schema>{open}{}</Schema>", "</a>".repeat(size)).into_bytes()
    });
    check("schema_xml", "words of a list", 500, |size| {
        numbered("<Schema><Enum name='E' values='", size, "'/></Schema>", |at| format!("{at};w{at};"))
    });
    check("schema_xml", "line ends", 20_000, |size| repeated("<Schema>", "\n", "<x/></Schema>", size));
    check("schema_xml", "a long name", 20_000, |size| {
        format!("<Schema><Entity name='{0}' extends='{0}' key='{0}'/></Schema>", "x".repeat(size)).into_bytes()
    });
    check("schema_xml", "includes of the same file", 500, |size| {
        repeated("<Schema>", "<Include file='0.xml'/>", "</Schema>", size)
    });
}

#[test]
fn of_queries() {
    check("query", "alternatives", 400, |size| repeated("from Customer where id = 1", " or id = 1", "", size));
    check("query", "a list", 600, |size| repeated("from Customer where id in (1", ", 1", ")", size));
    check("query", "blanks", 3000, |size| repeated("from", " ", "Customer", size));
    check("query", "digits", 3000, |size| repeated("from Order where Freight = ", "1", "", size));
    check("query", "quotation marks", 2000, |size| repeated("from Customer where City = ", "''", "", size));
    check("query", "a pattern", 1000, |size| repeated("from Customer where City like '", "%a", "'", size));
    check("query", "no end of parentheses", 2000, |size| repeated("from Customer where ", "(", "", size));
    check("query", "columns", 200, |size| numbered("select id", size, " from Customer", |at| format!(", id as c{at}")));
    check("query", "keys of the order", 150, |size| repeated("from Customer order by id", ", City desc", "", size));
    check("query", "a path", 400, |size| repeated("from Employee where ", "ReportsTo.", "City = 'x'", size));
    check("query", "lines", 3000, |size| repeated("", "\n", "from Customer where x", size));
}

#[test]
fn of_configurations() {
    check("ini", "sections", 1000, |size| numbered("", size, "", |at| format!("[S{at}]\n")));
    check("ini", "unknown keys", 300, |size| numbered("[DBMan]\n", size, "", |at| format!("key{at} = 1\n")));
    check("ini", "the same key", 1000, |size| repeated("[DBMan]\n", "nodeName = a\n", "", size));
    check("ini", "lines that are none", 1000, |size| repeated("[DBMan]\n", "nothing\n", "", size));
    check("ini", "addresses", 300, |size| repeated("[SyncService]\nadvertise = a", ",a", "\n", size));
}

#[test]
fn of_what_comes_through_sockets() {
    check("message", "nothings", 5000, |size| {
        let mut body = vec![0x81, 0xa1, b'x', 0xdd];
        body.extend_from_slice(&u32::try_from(size).unwrap().to_be_bytes());
        body.resize(body.len() + size, 0xc0);
        records(0x0301, 0, &body, 1)
    });
    check("message", "the same key", 5000, |size| {
        let mut body = vec![0xdf];
        body.extend_from_slice(&u32::try_from(size).unwrap().to_be_bytes());
        body.extend([0xa1, b'x', 0xc0].repeat(size));
        records(0x0301, 0, &body, 1)
    });
    check("message", "transactions", 5000, |size| {
        let mut body = vec![0x82, 0xa1, b's', 0xc4, 0, 0xa1, b't', 0xdd];
        body.extend_from_slice(&u32::try_from(size).unwrap().to_be_bytes());
        body.extend([0xc4, 1, 7].repeat(size));
        records(0x0210, 0, &body, 1)
    });
    check("frames", "small ones", 2000, |size| [vec![3], records(0x0254, 0, &[0x80], size)].concat());
    check("frames", "one large one", 60_000, |size| [vec![255], records(0x0211, 0, &vec![0; size], 1)].concat());
}

#[test]
fn of_what_people_hand_in() {
    check("document", "changes", 500, |size| repeated("{\"changes\":[", "{\"id\":1},", "{\"id\":1}]}", size));
    check("document", "fields", 500, |size| {
        numbered("{\"changes\":[{\"id\":1,\"values\":{\"a\":1", size, "}}]}", |at| format!(",\"f{at}\":1"))
    });
    check("document", "a long name over a long list", 500, |size| {
        let references = vec!["{\"ref\":1}"; size].join(",");
        format!("{{\"changes\":[{{\"id\":1,\"values\":{{\"{}\":[{references}]}}}}]}}", "x".repeat(20 * size))
            .into_bytes()
    });
    check("document", "signs", 20_000, |size| repeated("{\"changes\":[", ",", "", size));
    check("document", "a long number", 20_000, |size| repeated("{\"changes\":[", "9", "]}", size));
    check("csv", "columns", 300, |size| numbered("a", size, "\n1\n", |at| format!(",c{at}")));
    check("csv", "rows", 1000, |size| repeated("A,B\n", "1,2\n", "", size));
    check("csv", "quotation marks", 10_000, |size| repeated("A,B\n", "\"\"", "", size));
    check("csv", "delimiters", 10_000, |size| repeated("A,B\n", ",", "\n", size));
    check("csv", "line ends", 10_000, |size| repeated("A,B\n", "\r\n", "1,2", size));
    check("json_lines", "fields", 300, |size| numbered("{\"a\":1", size, "}", |at| format!(",\"f{at}\":1")));
    check("json_lines", "rows of other columns", 300, |size| numbered("", size, "", |at| format!("{{\"f{at}\":1}}\n")));
    check("cell", "digits", 10_000, |size| repeated("\0", "9", "", size));
    check("cell", "marks", 5_000, |size| repeated("\u{7}", "e\u{301}\u{323}", "", size));
    check("cell", "marks on one letter", 5_000, |size| repeated("\u{8}e", "\u{301}\u{323}", "", size));
}
