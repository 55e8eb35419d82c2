//! The invoices of the demonstration: pages of A4 as SVG, which any browser shows. Knows no node.

/// What stands on an invoice.
pub(super) struct Invoice<'i> {
    /// Number of the order.
    pub(super) number: u32,
    /// The node that sells.
    pub(super) seller: &'i str,
    /// To whom.
    pub(super) customer: &'i str,
    /// Number of pieces, what it is, and the price of one in cents.
    pub(super) lines: &'i [(u32, &'i str, u32)],
}

/// Value added tax, of a hundred.
const TAX: u32 = 19;
/// Where the lines begin, and how far apart they are, in millimetres.
const FIRST_LINE: u32 = 118;
const LINE_HEIGHT: u32 = 9;

impl Invoice<'_> {
    /// The name of its file.
    pub(super) fn file_name(&self) -> String {
        format!("invoice-{}.svg", self.number)
    }

    /// The page.
    pub(super) fn to_svg(&self) -> String {
        let mut rows = String::new();
        let (mut y, mut net) = (FIRST_LINE, 0);
        for (count, what, price) in self.lines {
            let sum = count * price;
            net += sum;
            rows += &format!(
                "<text x=\"25\" y=\"{y}\">{count}</text><text x=\"44\" y=\"{y}\">{}</text>\
                 <text x=\"150\" y=\"{y}\" class=\"r\">{}</text><text x=\"185\" y=\"{y}\" class=\"r\">{}</text>\n",
                escaped(what),
                euros(*price),
                euros(sum)
            );
            y += LINE_HEIGHT;
        }
        let tax = net * TAX / 100;
        let rule = y - 4;
        let [first, second, third] = [y + 5, y + 13, y + 23];
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"210mm\" height=\"297mm\" viewBox=\"0 0 210 297\">\n\
             <style>text{{font-family:Helvetica,Arial,sans-serif;font-size:4.4px;fill:#222}}.r{{text-anchor:end}}\
             .h{{font-size:9px;font-weight:bold}}.g{{fill:#667}}.b{{font-weight:bold}}</style>\n\
             <rect width=\"210\" height=\"297\" fill=\"#fff\"/><rect width=\"210\" height=\"14\" fill=\"#1f4e79\"/>\n\
             <text x=\"25\" y=\"9.5\" style=\"fill:#fff\">Trade &amp; Harbour, {seller}</text>\n\
             <text x=\"25\" y=\"50\" class=\"g\">To</text><text x=\"25\" y=\"57\" class=\"b\">{customer}</text>\n\
             <text x=\"25\" y=\"92\" class=\"h\">Invoice R-{number}</text>\n\
             <text x=\"185\" y=\"92\" class=\"r g\">Order {number}</text>\n\
             <g class=\"g\"><text x=\"25\" y=\"108\">Pieces</text><text x=\"44\" y=\"108\">Article</text>\
             <text x=\"150\" y=\"108\" class=\"r\">Price</text><text x=\"185\" y=\"108\" class=\"r\">Sum</text></g>\n\
             <path d=\"M25 111H185M25 {rule}H185\" stroke=\"#99a\" stroke-width=\".3\"/>\n{rows}\
             <text x=\"120\" y=\"{first}\">Net</text><text x=\"185\" y=\"{first}\" class=\"r\">{net}</text>\n\
             <text x=\"120\" y=\"{second}\">VAT {TAX} %</text><text x=\"185\" y=\"{second}\" class=\"r\">{tax_text}</text>\n\
             <text x=\"120\" y=\"{third}\" class=\"b\">To pay</text>\
             <text x=\"185\" y=\"{third}\" class=\"r b\">{total}</text>\n\
             <text x=\"25\" y=\"280\" class=\"g\">Payable within 14 days without deduction. Thank you for your order.</text>\n\
             </svg>\n",
            seller = escaped(self.seller),
            customer = escaped(self.customer),
            number = self.number,
            net = euros(net),
            tax_text = euros(tax),
            total = euros(net + tax),
        )
    }
}

fn euros(cents: u32) -> String {
    format!("{}.{:02} €", cents / 100, cents % 100)
}

/// What stands in a text of the page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_is_to_be_paid() {
        let lines = [(3, "Chai <fine>", 1_800), (1, "Crate", 250)];
        let invoice = Invoice { number: 240_118, seller: "berlin", customer: "Ernst & Handel", lines: &lines };
        let page = invoice.to_svg();
        assert_eq!(invoice.file_name(), "invoice-240118.svg");
        for part in
            ["Invoice R-240118", "Ernst &amp; Handel", "Chai &lt;fine&gt;", "54.00 €", "56.50 €", "10.73 €", "67.23 €"]
        {
            assert!(page.contains(part), "{part} in\n{page}");
        }
        assert!(page.starts_with("<svg ") && page.ends_with("</svg>\n"));
        assert_eq!(page.matches("<text").count(), page.matches("</text>").count());
    }
}
