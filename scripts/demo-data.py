#!/usr/bin/env python3
"""Writes the demo's CSV files, schema/demo/data/*.csv: invented firms, people, goods and orders.

The same bytes come out of each run, on each machine and Python: chance comes from a generator of our own with a fixed
seed. With --check nothing is written; the exit status is 1 where a file differs from what would be written.
"""

import csv
import datetime
import io
import pathlib
import sys
import unicodedata

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "schema" / "demo" / "data"
SEED = 20_240_113


class Chance:
    """SplitMix64; the standard library's generator may change its sequences between versions."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        """A number of 0 ... bound-1."""
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        mixed = self.state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
        return ((mixed ^ (mixed >> 31)) * bound) >> 64

    def of(self, items):
        return items[self.below(len(items))]

    def percent(self, share):
        return self.below(100) < share

    def some(self, items, count):
        """`count` different items, in their order of drawing."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(count)]


# Postal code, city; the territories of the demo, by region.
GERMANY = {
    "Nord": ["20095 Hamburg", "28195 Bremen", "24103 Kiel", "18055 Rostock", "26122 Oldenburg", "30159 Hannover",
             "38100 Braunschweig", "37073 Göttingen", "23552 Lübeck", "17489 Greifswald", "24937 Flensburg",
             "26721 Emden"],
    "Ost": ["01067 Dresden", "04109 Leipzig", "06108 Halle (Saale)", "07743 Jena", "08056 Zwickau", "09111 Chemnitz",
            "03046 Cottbus", "02826 Görlitz", "10115 Berlin", "39104 Magdeburg", "99084 Erfurt",
            "15230 Frankfurt (Oder)", "01445 Radebeul"],
    "Süd": ["70173 Stuttgart", "72070 Tübingen", "76133 Karlsruhe", "79098 Freiburg", "80331 München",
            "86150 Augsburg", "89073 Ulm", "90402 Nürnberg", "93047 Regensburg", "94032 Passau", "97070 Würzburg",
            "87435 Kempten (Allgäu)", "83022 Rosenheim"],
    "West": ["33602 Bielefeld", "48143 Münster", "50667 Köln", "40213 Düsseldorf", "44135 Dortmund", "45127 Essen",
             "52062 Aachen", "53111 Bonn", "60311 Frankfurt am Main", "65183 Wiesbaden", "66111 Saarbrücken",
             "68159 Mannheim"],
}
# Country: prefix of phone numbers, cities, streets, what firms deal in, how they are called.
ABROAD = {
    "Austria": ("+43 1 555", ["1010 Wien", "5020 Salzburg", "8010 Graz", "6020 Innsbruck"],
                ["Mühlgasse", "Rosenweg", "Am Graben"], ["Jausenstation", "Mostkellerei", "Knödelhaus"],
                ["Hölzl {} GmbH", "{} Gstöttner & Söhne", "{} Prähauser"]),
    "Switzerland": ("+41 44 555", ["8001 Zürich", "3011 Bern", "4051 Basel"], ["Seestrasse", "Kirchgasse"],
                    ["Käserei", "Chäs-Hüsli", "Confiserie"], ["{} Züllig AG", "{} Brönnimann"]),
    "France": ("+33 1 99 00", ["75002 Paris", "69001 Lyon", "67000 Strasbourg", "06000 Nice"],
               ["rue des Tilleuls", "quai des Pêcheurs"], ["Épicerie", "Crèmerie", "Pâtisserie"],
               ["{} Lefèvre-Dubrœuil", "{} à l'Étoile", "{} du Vieux Château"]),
    "Italy": ("+39 02 555", ["20121 Milano", "00184 Roma", "39100 Bozen"], ["Via dei Cipressi", "Piazza Dante"],
              ["Salumeria", "Enoteca", "Pasticceria"], ["{} Bonfanti s.r.l.", "{} Tre Città"]),
    "Netherlands": ("+31 20 555", ["1012 AB Amsterdam", "3011 AA Rotterdam"], ["Tulpenkade", "Molenweg"],
                    ["Kaashandel", "Visserij"], ["{} De Zilveren Gans B.V.", "{} Van Oosterwijck"]),
    "Poland": ("+48 22 555", ["00-001 Warszawa", "30-001 Kraków"], ["ul. Lipowa", "ul. Słoneczna"],
               ["Piekarnia", "Delikatesy"], ["{} Żółwik Sp. z o.o.", "{} Wiśniewskich"]),
    "Czechia": ("+420 555", ["110 00 Praha", "602 00 Brno"], ["Lipová", "Na Příkopě"], ["Pekařství", "Vinárna"],
                ["{} U Zlatého hřebce", "{} Dvořáček s.r.o."]),
    "Denmark": ("+45 55 50", ["1050 København", "8000 Aarhus"], ["Lærkevej", "Strandgade"],
                ["Smørrebrød", "Fiskehandel"], ["{} Blåbjerg ApS", "{} Sørensen & Søn"]),
    "Sweden": ("+46 8 555", ["111 20 Stockholm", "413 01 Göteborg"], ["Björkgatan", "Ängsvägen"],
               ["Livsmedel", "Konditori"], ["{} Åkerström AB", "{} Blåklockan"]),
    "Finland": ("+358 9 555", ["00100 Helsinki", "90100 Oulu"], ["Koivutie", "Mäntykatu"], ["Leipomo", "Herkku"],
                ["{} Hämäläinen Oy", "{} Sinivuokko"]),
}
STREETS = ["Bahnhofstraße", "Hauptstr.", "Am Mühlbach", "Gärtnerweg", "Schloßallee", "Lindenstraße", "Färbergasse",
           "Hinter der Kirche", "Königstraße", "Große Bleiche", "Zum Brückchen", "Ährenweg"]
SURNAMES = ["Ahrens", "Bäumler", "Brückner", "Cramer", "Dörfler", "Ebeling", "Fährmann", "Grünwald", "Hübner",
            "Ihßen", "Jäger", "Köhler", "Lübbers", "Möllenkamp", "Nägele", "Oßwald", "Pfützner", "Quäck", "Rößler",
            "Schäfer", "Tönnies", "Überall", "Voß", "Wüllner", "Zöllner", "Ziegenbalg", "Stürmer", "Kräutlein"]
FIRST_NAMES = ["Änne", "Birgül", "Björn", "Chloé", "Dörte", "Emil", "Friederike", "Götz", "Hülya", "Ingrid", "Jürgen",
               "Käthe", "Luís", "Małgorzata", "Nils", "Özlem", "Paul", "René", "Sören", "Tülay", "Ute", "Zoë"]
TRADES = ["Feinkost", "Lebensmittelgroßhandel", "Käsekontor", "Weinhandel", "Getränkemarkt", "Bäckereibedarf",
          "Hofladen", "Naturkost", "Teehaus", "Kaffeerösterei", "Fischräucherei", "Gewürzmühle"]
FORMS = ["GmbH", "GmbH & Co. KG", "OHG", "KG", "e. K.", "AG", "& Söhne", "& Töchter"]
CONTACT_TITLES = ["Inhaberin", "Inhaber", "Einkauf", "Leitung Einkauf", "Buchhaltung", "Geschäftsführung", "Verkauf"]
# Category: description and ten goods, each with what one unit is.
GOODS = {
    "Getränke": ("Säfte, Tee, Kaffee, Bier und Wasser", ["Apfelsaft, naturtrüb|6 x 1 l", "Ostfriesentee|20 x 250 g",
        "Röstkaffee Hafenglück|12 x 500 g", "Kräuterlimonade|24 x 0,33 l", "Märzenbier|20 x 0,5 l",
        "Holunderblütensirup|6 x 0,7 l", "Mineralwasser Felsenquell|12 x 0,75 l", "Birnenmost|6 x 1 l",
        "Früchtetee Waldfee|12 x 100 g", "Malzkaffee|10 x 500 g"]),
    "Gewürze": ("Gewürze, Soßen und Essige", ["Senf, mittelscharf|24 x 200 ml", "Meerrettich, gerieben|12 x 180 g",
        "Kümmel, ganz|10 x 50 g", "Grüne Soße|12 x 250 g", "Himbeeressig|6 x 0,5 l", "Paprika, edelsüß|10 x 80 g",
        "Liebstöckelsalz|12 x 150 g", "Wacholderbeeren|10 x 60 g", "Zwetschgenröster|12 x 300 g",
        "Knoblauchöl|6 x 250 ml"]),
    "Süßwaren": ("Kekse, Kuchen, Schokolade und Konfekt", ["Butterspekulatius|16 x 400 g", "Lebkuchenherz|30 Stück",
        "Nussecken|24 Stück", "Bitterschokolade 85 %|20 x 100 g", "Marzipanbrot|18 x 175 g", "Lakritzschnüre|12 x 200 g",
        "Quarkbällchen|40 Stück", "Pflaumenmus im Glas|12 x 340 g", "Früchtebrot|10 x 500 g",
        "Mohnstriezel|8 x 750 g"]),
    "Milchprodukte": ("Käse, Butter und Quark", ["Bergkäse, 12 Monate|1 Laib, 6 kg", "Harzer Roller|20 x 200 g",
        "Sauerrahmbutter|20 x 250 g", "Kräuterquark|12 x 250 g", "Ziegenkäse in Asche|12 x 150 g",
        "Räucherkäse|10 x 300 g", "Buttermilch|12 x 0,5 l", "Obatzter|12 x 200 g", "Schmand|20 x 200 g",
        "Weißlacker|6 x 400 g"]),
    "Getreide": ("Brot, Mehl, Nudeln und Müsli", ["Roggenmehl Type 1150|10 x 1 kg", "Dinkelnudeln|12 x 500 g",
        "Pumpernickel|20 x 250 g", "Spätzle, getrocknet|12 x 500 g", "Grünkern, geschrotet|10 x 500 g",
        "Knäckebrot|16 x 200 g", "Früchtemüsli|8 x 750 g", "Haferflocken|20 x 500 g", "Semmelbrösel|10 x 400 g",
        "Maultaschenteig|12 x 400 g"]),
    "Fleisch": ("Wurst, Schinken und Geflügel", ["Schwarzwälder Schinken|1 Stück, 2 kg", "Leberwurst im Glas|24 x 200 g",
        "Rostbratwürste|40 Stück", "Gänseschmalz|12 x 250 g", "Landjäger|50 Paar", "Ahle Wurscht|10 x 400 g",
        "Putenbrust, geräuchert|4 x 1 kg", "Weißwürste|30 Paar", "Sülze|12 x 250 g", "Jagdwurst|10 x 500 g"]),
    "Obst und Gemüse": ("Frisch, getrocknet und eingelegt", ["Sauerkraut im Fass|10 kg", "Spreewälder Gurken|12 x 720 ml",
        "Rote Bete, gewürfelt|12 x 330 g", "Apfelringe, getrocknet|20 x 150 g", "Schwarzwurzeln|12 x 530 g",
        "Preiselbeeren|12 x 400 g", "Pfifferlinge im Glas|12 x 280 g", "Grünkohl|12 x 660 g", "Linsen, Alb-|10 x 500 g",
        "Zwiebeln, geröstet|20 x 150 g"]),
    "Fisch": ("Fisch und Meeresfrüchte", ["Matjesfilets|10 x 250 g", "Bismarckhering|12 x 500 g", "Rollmöpse|12 x 500 g",
        "Büsumer Krabben|20 x 100 g", "Räucheraal|8 x 300 g", "Forelle, geräuchert|16 x 125 g",
        "Kieler Sprotten|20 x 200 g", "Brathering|12 x 325 g", "Lachsöl|6 x 250 ml", "Seelachsschnitzel|24 x 125 g"]),
}


def letters(text):
    """The letters of a name as capitals without signs, ß as SS."""
    plain = unicodedata.normalize("NFD", text.replace("ß", "ss").replace("ł", "l").replace("Ł", "L").replace("ø", "o"))
    return "".join(letter for letter in plain.upper() if "A" <= letter <= "Z")


def number(hundredths):
    """An amount without superfluous zeros, as spreadsheets write it."""
    whole, rest = divmod(hundredths, 100)
    return f"{whole}.{rest:02}".rstrip("0").rstrip(".")


def split_city(text):
    """Postal code and city."""
    at = next(at for at in range(len(text)) if text[at] == " " and text[at + 1].isalpha()
              and not text[at + 1:].startswith(("AB ", "AA ")))
    return text[:at], text[at + 1:]


def german_phone(chance):
    """From the numbers that are set aside for films and books."""
    return f"{chance.of(['030 23125', '040 66969', '069 90009', '089 99998', '0221 4710'])}-{chance.below(900) + 100}"


def firm(chance):
    """Company, contact, title, address, city, region, postal code, country, phone, fax."""
    contact = f"{chance.of(FIRST_NAMES)} {chance.of(SURNAMES)}"
    if chance.percent(65):
        code, city = split_city(chance.of(chance.of(list(GERMANY.values()))))
        name = f"{chance.of(TRADES)} {chance.of(SURNAMES)} {chance.of(FORMS)}"
        street, country, phone, fax = chance.of(STREETS), "Germany", german_phone(chance), german_phone(chance)
    else:
        country = chance.of(list(ABROAD))
        prefix, cities, streets, trades, names = ABROAD[country]
        code, city = split_city(chance.of(cities))
        name, street = chance.of(names).format(chance.of(trades)), chance.of(streets)
        phone, fax = (f"{prefix} {chance.below(90) + 10} {chance.below(90) + 10}" for _ in range(2))
    address = f"{street} {chance.below(180) + 1}"
    fax = fax if chance.percent(40) else ""
    return [name, contact, chance.of(CONTACT_TITLES), address, city, "", code, country, phone, fax]


def firms(chance, count):
    """Firms with different names."""
    found = {}
    while len(found) < count:
        one = firm(chance)
        found.setdefault(one[0], one)
    return list(found.values())


def customers(chance):
    rows, taken = [], set()
    for at, row in enumerate(firms(chance, 100)):
        if at == 6:
            row[0] = "Kröger, Söhne & Co. KG"
        if at == 17:
            row[0], row[4], row[6], row[7] = 'Gasthof "Zum Löwen"', "Passau", "94032", "Germany"
            row[3], row[8] = "Am Mühlbach 3", german_phone(chance)
        if at == 29:
            row[3] = "Gewerbepark Süd\nHalle 7, Tor B"
        if at in (41, 73):
            row[3:8] = ["", "", "", "", ""]
        words = row[0].split()
        base = letters("".join(words[1:] if len(words) > 1 and at % 2 else words)).ljust(5, "X")
        key = next(key for last in base[4:] + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if (key := base[:4] + last) not in taken)
        taken.add(key)
        rows.append([key] + row)
    rows.sort()
    return rows


def suppliers(chance):
    rows = []
    for at, row in enumerate(firms(chance, 24), 1):
        page = f"https://www.{letters(row[0]).lower()[:20]}.example/" if chance.percent(30) else ""
        if at == 9:
            row[3:5], row[6:9] = ["Speicherstadt, Block Ö\n3. Boden", "Hamburg"], ["20095", "Germany", german_phone(chance)]
        rows.append([at] + row + [page])
    return rows


def products(chance):
    rows = []
    for category, (_, goods) in enumerate(GOODS.values(), 1):
        for text in goods:
            name, unit = text.split("|")
            price = (chance.below(480) + 12) * 10 + chance.of([0, 0, 5, 9])
            stock, ordered = chance.below(140), chance.of([0, 0, 0, 20, 40, 60])
            row = [len(rows) + 1, name, chance.below(24) + 1, category, unit, number(price), stock, ordered,
                   chance.of([0, 5, 10, 15, 20, 25]), int(chance.percent(8))]
            rows.append(row)
    return rows


def employees(chance):
    """Twelve people; whoever reports to somebody reports to one further down, the head is the last."""
    superiors = [5, 5, 9, 9, 12, 9, 8, 12, 12, 11, 12, ""]
    titles = ["Verkauf", "Verkauf", "Verkauf", "Innendienst", "Leitung Verkauf Nord", "Verkauf", "Lager",
              "Leitung Lager", "Leitung Verkauf Süd", "Buchhaltung", "Leitung Buchhaltung", "Geschäftsführung"]
    last_names = chance.some(SURNAMES, 12)
    first_names = chance.some(FIRST_NAMES, 12)
    rows = []
    for at in range(12):
        code, city = split_city(chance.of(chance.of(list(GERMANY.values()))))
        born = datetime.date(1962, 1, 1) + datetime.timedelta(days=chance.below(13_000))
        hired = datetime.date(2008, 1, 1) + datetime.timedelta(days=chance.below(5_000))
        address = f"{chance.of(STREETS)} {chance.below(90) + 1}"
        if at == 3:
            address += "\nHinterhaus"
        courtesy = "Dr." if at == 11 else chance.of(["Frau", "Herr", ""])
        rows.append([at + 1, last_names[at], first_names[at], titles[at], courtesy, born, hired, address, city, "",
                     code, "Germany", german_phone(chance), f"{chance.below(1_000):04}", superiors[at]])
    return rows


def territories():
    rows = []
    for region, places in enumerate(GERMANY.values(), 1):
        for place in places:
            code, city = split_city(place)
            rows.append([code, city, region])
    rows.sort()
    return rows


def employee_territories(chance, areas):
    """Each territory has one of the six sellers, some have a second one."""
    rows = []
    for code, _, _ in areas:
        for seller in chance.some([1, 2, 3, 5, 6, 9], 2 if chance.percent(10) else 1):
            rows.append([seller, code])
    rows.sort()
    return rows


def stamp(time):
    return time.strftime("%Y-%m-%d %H:%M:00.000")


def orders(chance, buyers, goods):
    """800 orders over three years, taken in the hours of work, and their lines."""
    rows, lines = [], []
    start = datetime.datetime(2023, 1, 2)
    for at in range(800):
        day = start + datetime.timedelta(days=at * 15 // 11)
        ordered = day + datetime.timedelta(minutes=8 * 60 + chance.below(600))
        buyer = buyers[min(chance.below(len(buyers)), chance.below(len(buyers)))]
        required = day + datetime.timedelta(days=chance.of([7, 14, 14, 28, 42]))
        shipped = day + datetime.timedelta(days=1 + chance.below(12))
        pending = at > 780 or chance.percent(1)
        key = 20_001 + at
        ship_to = [buyer[1], buyer[4], buyer[5], buyer[6], buyer[7], buyer[8]]
        rows.append([key, buyer[0], chance.of([1, 2, 3, 4, 5, 6, 9]), stamp(ordered), stamp(required),
                     "" if pending else stamp(shipped), chance.below(4) + 1, number(chance.below(24_000) + 250)]
                    + ship_to)
        for good in chance.some(goods, chance.of([1, 2, 2, 2, 3, 3, 4])):
            discount = chance.of(["0.0", "0.0", "0.0", "0.05", "0.1", "0.15", "0.2", "0.25"])
            lines.append([key, good[0], good[5], chance.of([1, 2, 4, 5, 6, 10, 12, 15, 20, 24, 30, 60]), discount])
    return rows, lines


def tables():
    """File, columns and rows, each in the order of its key."""
    chance = Chance(SEED)
    contact = "CompanyName,ContactName,ContactTitle,Address,City,Region,PostalCode,Country,Phone,Fax"
    buyers, areas, goods = customers(chance), territories(), products(chance)
    order_rows, lines = orders(chance, buyers, goods)
    return [
        ("Regions", "RegionID,RegionDescription", list(enumerate(GERMANY, 1))),
        ("Territories", "TerritoryID,TerritoryDescription,RegionID", areas),
        ("Suppliers", f"SupplierID,{contact},HomePage", suppliers(chance)),
        ("Categories", "CategoryID,CategoryName,Description",
         [[at, name, text] for at, (name, (text, _)) in enumerate(GOODS.items(), 1)]),
        ("Products", "ProductID,ProductName,SupplierID,CategoryID,QuantityPerUnit,UnitPrice,UnitsInStock,UnitsOnOrder,"
         "ReorderLevel,Discontinued", goods),
        ("Customers", f"CustomerID,{contact}", buyers),
        ("Employees", "EmployeeID,LastName,FirstName,Title,TitleOfCourtesy,BirthDate,HireDate,Address,City,Region,"
         "PostalCode,Country,HomePhone,Extension,ReportsTo", employees(chance)),
        ("EmployeeTerritories", "EmployeeID,TerritoryID", employee_territories(chance, areas)),
        ("Shippers", "ShipperID,CompanyName,Phone",
         [[at, name, german_phone(chance)] for at, name in
          enumerate(["Eilbote Nord", "Spedition Trödelmann", "Kühlfracht Süd", "Paketrad Kurier"], 1)]),
        ("Orders", "OrderID,CustomerID,EmployeeID,OrderDate,RequiredDate,ShippedDate,ShipVia,Freight,ShipName,"
         "ShipAddress,ShipCity,ShipRegion,ShipPostalCode,ShipCountry", order_rows),
        ("OrderDetails", "OrderID,ProductID,UnitPrice,Quantity,Discount", lines),
    ]


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit("usage: demo-data.py [--check]")
    differing = []
    for name, columns, rows in tables():
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns.split(","))
        writer.writerows(rows)
        path, content = FOLDER / f"{name}.csv", text.getvalue().encode()
        if not check:
            FOLDER.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        elif not path.exists() or path.read_bytes() != content:
            differing.append(str(path))
    if differing:
        sys.exit("differs from what the generator writes: " + ", ".join(differing))


if __name__ == "__main__":
    main()
