//! The demo: a wholesaler's schema, and its data as CSV files, all in the program itself.

/// One file of the demo's data, and how an import reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table {
    /// The file's name without `.csv`.
    pub file: &'static str,
    /// The entity of its rows.
    pub entity: &'static str,
    /// Columns that are called otherwise than the attribute they go to: column, attribute. All others are called alike.
    pub renamed: &'static [(&'static str, &'static str)],
    /// The file: UTF-8, commas, line feeds, a header line; a reference is the key of its target.
    pub csv: &'static str,
}

macro_rules! table {
    ($file:literal, $entity:literal, $renamed:expr) => {
        Table {
            file: $file,
            entity: $entity,
            renamed: &$renamed,
            csv: include_str!(concat!("../demo/data/", $file, ".csv")),
        }
    };
}

const TABLES: [Table; 11] = [
    table!("Regions", "Region", []),
    table!("Territories", "Territory", [("RegionID", "Region")]),
    table!("Suppliers", "Supplier", []),
    table!("Categories", "Category", []),
    table!("Products", "Product", [("SupplierID", "Supplier"), ("CategoryID", "Category")]),
    table!("Customers", "Customer", []),
    table!("Employees", "Employee", []),
    table!("EmployeeTerritories", "EmployeeTerritory", [("EmployeeID", "Employee"), ("TerritoryID", "Territory")]),
    table!("Shippers", "Shipper", []),
    table!("Orders", "Order", [("CustomerID", "Customer"), ("EmployeeID", "Employee"), ("ShipVia", "Shipper")]),
    table!("OrderDetails", "OrderLine", [("OrderID", "Order"), ("ProductID", "Product")]),
];

/// The demo's schema file, for [`crate::project`] once it stands on disk.
#[must_use]
pub const fn schema_xml() -> &'static str {
    include_str!("../demo/trade.xml")
}

/// The demo's data, in an order in which references lead to earlier files, or within their own, where they may lead
/// forward.
#[must_use]
pub const fn tables() -> &'static [Table] {
    &TABLES
}

/// The text of one file of the demo's data, by its name without `.csv`: `Customers`.
#[must_use]
pub fn csv(name: &str) -> Option<&'static str> {
    TABLES.iter().find(|table| table.file == name).map(|table| table.csv)
}
