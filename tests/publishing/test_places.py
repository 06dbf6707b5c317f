"""Texts that tell where, and texts that only look like it."""

# ruff: noqa: RUF001 - digits and letters of several scripts

from __future__ import annotations

import time

import pytest

from shaded.publishing.places import tells_a_place

TELLING = [
    "52.5200, 13.4050", "52.52,13.405", "52.52, 13.40", "Berlin 52.520008 13.404954 at noon", "-33.8688, 151.2093",
    "40.71, -74.01", "geo:52.52,13.40", "geo:lat=52.5", "geo:lon=13.4", "GPS 52.5 13.4", "GPS: N 52 31",
    "exif:GPSLatitude 52/1, 30/1, 0/1", "52/1, 30/1, 0/1", "Latitude: 52.52", "latitude 52", "lat=52.52&lon=13.4",
    "lat: 52.5, lon: 13.4", '{"lat":52.5,"lng":13.4}', '52°31\'12"N 13°24\'18"E', "52\xb0 31\u2032 12\u2033 N",
    "52º31.2' N", "52°N 13°E", "52.52°N, 13.40°E", "N 52° 31.2", "52.5200N 13.4050E", "N52.5200 E13.4050",
    "52,30.0N", "52,30,0N", "+52.5200+013.4050/", "+5231+01324/", "+525112.5+0132418.2/",
    "https://maps.google.com/?q=Berlin", "https://www.google.de/maps/@52.52,13.40,15z", "https://goo.gl/maps/abc",
    "https://www.openstreetmap.org/#map=12/52.5/13.4", "https://maps.apple.com/?ll=52.5,13.4",
    "///filled.count.soap", "33U 391123 5820090", "33UUU9112320090", "9F4MGC2F+XX", "52 31 12 N, 13 24 18 E",
    "52:31:12N 13:24:18E", "52,5200 13,4050", "52,5200; 13,4050", "coordinates: [13.4,52.5]", "POINT(13.4 52.5)",
    "\uff15\uff12\uff0e\uff15\uff12\uff10\uff10\uff0c\uff11\uff13\uff0e\uff14\uff10\uff15\uff10",
    '52 deg 31\' 12.00" N', "taken at (52.5200; 13.4050)", "Koordinaten 52,52 / 13,40", "13.4050 52.5200",
    "(52.5163,13.3777)", "longitud 13", "52.5200/13.4050", "широта 52.5", "52d31m12sN", "Pos 52.5200° 13.4050°",
    "52.52 N, 13.40 E", "N 52.52, E 13.40", "緯度 35.6", "S33 51.5 E151 12.6", "52&deg;30'N", "-33.87, 151.21",
    "S 33.8688° E 151.2093°", "52.5200 N 13.4050 O", "13.4050E", "52.520008",
]  # fmt: skip
INNOCENT = [
    "3.5, 4.2 m", "1.618, 2.718", "2024-05-01", "2024:05:01 10:20:30", "12.05.2024, 13.06.2024", "A cow at noon",
    "f/2.8, 35 mm", "20°C", "45° angle", "Version 10.15.7, 11.02.3", "+49 170 1234567", "+49-170/1234567",
    "© 2024 Jane Roe", "24.70 x 18.20 cm", "29.700, 21.000 cm", "1/60, 1/125, 1/250", "$12.50, $13.99",
    "12.50, 13.99 EUR", "10:30, 11:45", "Adobe Photoshop 25.0 (Windows)",
    "ISO 100, 1/250 s", "The GPS of my heart", "Latitude Festival", "long 3.5 m", "Lat. Canis lupus", "5, 7, 9",
    "0.5, 1.5, 2.5", "Breite: 30 cm", "Chapter 12.34", "R2-D2 + C3PO", "Opus 10.12, 10.13", "1.000, 2.000", "16:9",
    "#FF8800", "1920x1080", "10.000, 20.000 stops", "1 234 567", "Nr. 12 E 5", "N 5", "90° rotated",
    "Oil on canvas, 60.5 x 45.2 cm", "https://example.org/print?id=1234", "ff d8 ff", "RGB 0.5 0.5 0.5",
    "https://creativecommons.org/licenses/by/4.0/", "1.5, 2.25, 3.75", "Rob @ 12.30",
    "ISBN 978-3-16-148410-0", "+1-555-0100", "2024-05-01T10:20:30+02:00", "2024-05-01T10:20:30.123-05:00",
    "xmp.iid:52-13", "lon", "C++17", "Sony A7 III + 35mm F1.8", "2.80 / 1.20", "AB+CD", "20230501+10",
    "Adobe Photoshop Lightroom Classic 12.3 (Macintosh)", "Ver.1.00", "NIKON Z 6_2 Ver.01.40", "24-70mm f/2.8",
    "EF70-200mm f/4L IS USM", "16.0-55.0 mm f/2.8", "NIKKOR Z 24-120mm f/4 S", "E 18-135mm F3.5-5.6 OSS",
    "FE 24-70mm F2.8 GM II", "RF-S18-45mm F4.5-6.3 IS STM", "SIGMA 35mm F1.4 DG HSM | Art 012",
    "18.0-55.0 mm f/3.5-5.6", "iPhone 13 Pro back triple camera 5.7mm f/1.5", "24/1 70/1 28/10 28/10",
    "240/10 700/10 28/10 28/10", "28/10", "+49 30 1234567", "(030) 123-4567", "+1 (555) 010-0100", "+49-30-901820",
    "Krita 5.2.2", "GIMP 2.10.36", "2024-05-01T10:20:30Z", "2024-05-01T10:20:30.00+02:00",
    "© 2019-2024 Jane Roe. All rights reserved. https://jane.example/licence?v=1.2", "Watercolour, 30 x 40 cm, 2023",
    "A3 (29.7 x 42.0 cm), 300 dpi", 'Ink on paper. 8.5" x 11"', '5\'10" tall', "Chapter 3, page 12", "Score 3:1, 2:2",
    "N°5", "No. 7 E-flat", "Op. 27 No. 2", "12 Monkeys, 101 Dalmatians", "Rev 1.2.3.4", "v2.0.1-beta+45",
    "sRGB IEC61966-2.1", "Display P3", "Camera RGB Profile", "1.0000 1.0000", "gamma 2.20, 1.80",
    "temperature 5500K tint +10", "EV +0.3, -1.0", "Exposure -1.00, 2.50", "50% 25% 12.5%", "$12.50, $7.25",
    "Sizes: 10.50, 12.75, 14.00 cm", "R 0.25, G 0.50, B 0.75", "ratio 1.414, 1.732", "3.1416", "3.14159",
    "Pi is 3.14159, e is 2.71828", "weights 0.2126 0.7152 0.0722", "[0.2126, 0.7152, 0.0722]", "Level 3 W",
    "40 W bulb", "E minor", "West 42nd", "SW 11", "S 10, N 20", "Canon EOS R5 S/N 012345", "-5 °C to 20 °C",
    "360° panorama", "45 ° rotation", "the north-west", "gps logger off", "GPSmap", "Atlanta 1996", "flatlon",
    "My map of 2 lands", "mapping q=5", "http://example.org/?q=cats", "http://example.org/?lat=none",
    "https://www.artstation.com/artwork/AbC123", "https://deviantart.com/jane/art/cow-123456789", "Blender 3.6.5",
    "frame 0001 of 0250", "00:12.34", "12.34.56", "23.04.2024", "23.04.2024, 24.04.2024", "4.23.2024",
    "Fr. 12.05., Sa. 13.05.", "#1234 / #5678", "+++ new +++", "5+3", "H2O+CO2", "C64+VIC20", "ABCD+EF",
]  # fmt: skip

NOTATIONS = [
    "55.75 север, 37.61 восток", "север 55.75", "उत्तर 28.61", "شمال 24.71", "52.52 nördl. Breite", "43.1 sud",
    "52,5 Süd",
    "52,520 13,405", "52,52 / 13,41", "52.520N", "52/1, 312000/10000, 0/1", "what3words filled.count.soap",
    "w3w: filled.count.soap", "GCC4+22 Berlin", "9F4MGCC4+22", "OS grid TQ 30080 80400", "TQ3008080400", "SU 123 456",
    "LV95 2600123 / 1200456", "2600123.45/1200456.78", "Gauss-Krüger 4595000 5821000", "UTM 33 390123 5820123",
    "33U 390123 5820123", "JO62QM35", "geohash u33dc0cp", "u33dc0cppjsb", "https://g.co/maps/abc",
    "https://wikimapia.org/#lang=en&lat=52.52&lon=13.40", "https://www.flickr.com/map?fLat=52.52&fLon=13.40",
    "https://maps.yandex.ru/?ll=13.405,52.52", "https://yandex.ru/maps/?ll=13.4%2C52.52",
    "https://www.komoot.com/tour/1#@52.52,13.40", "https://map.qq.com/?pointx=116.3&pointy=39.9", "52 N, 13 E",
    "N52 E13", "52.5 N 13.4 E", "52.52 North, 13.40 East", "52 degrees 31 minutes north", "52d31m12s N",
    "Lat 52 Lon 13", "Breite 52,52 Länge 13,40", "纬度 39.9042", "北緯35度41分", "35度41分22秒", "N 35度41分",
    "52.5200\n13.4050", "X=13.4050 Y=52.5200", "x: 13.405 y: 52.52", "lat=52.5;lng=13.4", "52.5200,\u200913.4050",
    "52˚31´12˝", "52 31 12 N 13 24 18 E", "+52.5+13.4/", "+5231-01324/", "Point(13.4 52.5)", "POINT (13.405 52.52)",
    "SRID=4326;POINT(13 52)", "5.252e1, 1.3405e1", "52_5200_13_4050", "52.5200_13.4050", "52-31-12N 013-24-18E",
    "523112N0132418E", "N523112 E0132418", "523112N 0132418E", "KML <coordinates>13.4,52.5,0</coordinates>",
    '<trkpt lat="52.52" lon="13.40">', "$GPGGA,123519,4807.038,N,01131.000,E,1", "Breitengrad: 52", "широта 55.75",
    "lat/long 52.52/13.40", "shot at 52.52/13.40", "52.520008|13.404954", "52.520008 | 13.404954",
    "google maps 52.5 13.4", "latlng(52.5,13.4)", "5231.200N 01324.300E", "exif GPSLatitude 52", "[52.52, 13.4]",
    "52.52°, 13.4°", "52°, 13°", "52deg N 13deg E", "52ºN",
    "\uff11\uff13\uff0e\uff14\uff10\uff15\uff10\uff0c\uff15\uff12\uff0e\uff15\uff12\uff10\uff10", "٥٢٫٥٢٠٠, ١٣٫٤٠٥٠",
    "52\u20245200,13\u20244050", "52,5200° N", "EPSG:3857 1492000 6894000", "-33.86 151.21", "-33.86/151.21",
    "33.86S 151.21E", "33.86S,151.21E", "48.8584 2.2945", "(48.85,2.29)", "48.85, 2.35", "48.85 2.35", "Lat:48.85",
    "LatLon 48.85 2.35", "loc:48.85,2.35", "loc 48.85 2.35", "48°51'", "48° 51.5 N", "Plus code 8FW4V75V+8Q",
    "8FW4V75V+", "8FW4V7+", "52.5, 13.4", "6.52, 3.37", "E13 N52", "48° 51' 30''", "52 grad 31 minuten nord",
    "55,7558 с.ш. 37,6173 в.д.", "55.75 с. ш., 37.61 в. д.", "39.9042 北纬", "위도 37.5", "37.5665°N 126.9780°E",
    "शमाल 28.6, 77.2", "52\xb0 31\u2032 n\xf6rdlicher Breite", "52,52° nördl. Br., 13,41° östl. L.",
    "48,8566 nord; 2,3522 est", "5252/100 1340/100", "52/1 31/1 12/1", "u4pruydqqvj", "8fw4v75v+8q", "CCX4+22",
    "NN 166 712", "O 15904 34671", "Swiss 600123/200456", "https://karte.example.de/?x=1 maps",
    "https://www.bikemap.net/r/123", "https://example.org/map/12", "mapy.cz/s/abc", "52.52 / 13.41", "lat 52 lon 13",
    "N52° E13°", "52.52°", "523112N", "S33.8688", "33.8688 S", "0.5N 51.2W", "-0.18, -78.47", "52·52, 13·41",
    "52%2C520%20%2013%2C405", "JN48qm", "52.520; 13.405", "N 52 E 13",
]  # fmt: skip
HONEST = [
    "Best 2.5", "Contest 12.5", "Everest 8848.86 m", "Canon EOS 90D 50mm", "Nord Stream 2", "Le prix est 12,50 euros",
    "Study 12, 45", "Opus 27 No. 2", "Nikon 35mm 1.8", "1920 x 1080", "24.12.2023", "10:30", "Version 2.3",
    "Oil on canvas, 40 x 60 cm", "50.5 x 70.2", "Price 120.00 EUR", "\u20ac 12,50", "12,50 \u20ac", "$1,200.00",
    "1,234,567 views", "Bilder 12,13,14", "Sonate Nr. 14, op. 27,2", "Canon EF 24-105mm f/4L IS USM",
    "Tamron SP 17-50mm F/2.8 XR Di II", "Zeiss Planar T* 1,4/50", "E 3.5-5.6/PZ 16-50 OSS",
    "Vario-Elmar-TL 1:3.5-5.6/18-56 ASPH.", "iPhone 15 Pro back triple camera 6.765mm f/1.78",
    "iPhone 12 front camera 2.71mm f/2.2", "The North Face", "North by Northwest", "42nd Street West",
    "100 days of summer", "Blue No. 5", "Night 3/12", "Edition 3/50", "Leica M10-R", "HDRI 32-bit",
    "© 2020, 2021 Jane", "Adobe Photoshop 24.7 (20230628.m.2265 1234abc)  (Windows)", "darktable 4.4.2",
    "Hymn 121, 5-8", "Psalm 23,4", "Ps 119, 105", "Matthew 5:3-12", "Sunset at 18:45", "25°C in the shade",
    "Winter, -12 °C", "Room 101", "Route 66 West", "Level 42", "2nd of May 2020, 3rd of June", "100% cotton",
    "3 of 12", "Portrait of E. Munch 1893", "N. 12", "S. 45", "Nr. 12", "tel. 0171 1234567", "mail@example.com",
    "http://example.com/a/b?c=12", "https://www.instagram.com/p/CxYz12AbCdE/", "Mond über 3.000 Metern",
    "Mount Everest 8848 m", "Berlin 1945", "1 and 2", "Two cows", "Lot 1234, 5678", "ISO 200, f/8.0, 1/125",
    "f/2.8 1/250 s", "1/250 f/5.6 35.0 mm", "#art #painting2024", "A1, B2, C3", "Scan 600 dpi 21.0 x 29.7 cm",
    "AI 2024", "3D render", "H.264", "Study in red 2.0", "Series 3.5", "C-41", "E-6", "Ilford HP5+", "HP5 Plus 400",
    "Kodak Tri-X 400", "Fuji X-T5", "S23 Ultra", "Galaxy S10+", "Nikon D850", "DSC_0123", "IMG_20240501_102030",
    "PXL_20240501_102030123", "20240501_102030", "0001-0250.png", "Sony ILCE-7RM4", "SM-G998B",
    "Es war einmal im Jahre 1812, 24 Jahre", "Jahr 12.500 v. Chr.", "E 27", "W 12 x 20",
    "Symphony No. 9 in D minor, Op. 125", "4/4, 3/4, 2/4", "Nord und Süd 1864", "the south 1999", "best 2024",
    "Map of the world 1750", "Stadtplan 1:25000", "mapmaker", "120.00 x 80.00", "HEX #A1B2C3", "RGB(12, 45, 200)",
    "rgb(12,45,200)", "50mm 1.4", "50mm 1.4 and 35mm 2.0", "Painted in 2.5 hours", "Temp 36.6", "pH 7.4", "est. 1999",
    "Ost 1", "Est 1920", "sRGB 2.2", "DMC-GX80 / G VARIO 12-32/F3.5-5.6", "LUMIX G VARIO 12-60/F3.5-5.6",
    "OLYMPUS M.12-40mm F2.8", "smc PENTAX-DA 18-135mm F3.5-5.6", "XF18-55mmF2.8-4 R LM OIS", "EF-S 18-55mm 3.5-5.6",
    "DT 18-55mm F3.5-5.6 SAM", "18.0-55.0mm", "10-20mm", "NO 123", "No 45 and 46", "Nikkor 50 1.8 D",
    "Heft 12.4, S. 34", "S. 12, Nr. 34", "Band 3, S. 45-50", "Vol. 12 No 3 S 45",
]  # fmt: skip
#: They could be two times, sizes or dates, and a position as well.
DOUBTFUL = ["12.30, 14.45", "12.05, 13.06", "A4 21.0 29.7", "E 45, S 20", "FFXX+GH", "25.0, 13.1"]


@pytest.mark.parametrize("text", TELLING)
def test_positions_are_recognised(text):
    """Coordinates in every usual notation, addresses of maps, and numbers beside the words for them."""
    assert tells_a_place(text)


@pytest.mark.parametrize("text", ["52.5200, 13.4050", "52°31' N", "geo:52.5,13.4", "+52.5200+013.4050/"])
def test_positions_inside_of_a_text_are_recognised(text):
    """Wherever in a caption they stand."""
    assert tells_a_place(f"Two cows on a meadow ({text})\nin spring.")


@pytest.mark.parametrize("text", NOTATIONS)
def test_positions_in_other_notations_are_recognised(text):
    """With a comma or a point, degrees in any spelling, directions in many languages, packed, as grids and as codes."""
    assert tells_a_place(text)


@pytest.mark.parametrize("text", DOUBTFUL)
def test_in_doubt_a_text_tells_a_place(text):
    """Two numbers with decimals that nothing measures are taken for a latitude and a longitude."""
    assert tells_a_place(text)


@pytest.mark.parametrize("text", HONEST)
def test_titles_and_prices_are_not(text):
    """Titles, editions, prices, lenses, film and camera names, file names, verses and streets."""
    assert not tells_a_place(text)


@pytest.mark.parametrize("text", INNOCENT)
def test_other_texts_are_not(text):
    """Dates, sizes, prices, versions, telephone numbers, exposures and prose."""
    assert not tells_a_place(text)


@pytest.mark.parametrize(
    "text", ["12.123, ", "N 52 ", "52:", "52 52 ", "+52", "geo:", "lat ", "1/1, ", "52.5200,", "9" * 9]
)
def test_long_texts_take_no_time(text):
    """Sixty thousand letters of what nearly is a position are looked at in a moment."""
    begun = time.process_time()
    tells_a_place(text * (60_000 // len(text)))
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "text",
    [
        "52.520008,13.404954,34.5", "13.404954,52.520008,0", "[13.404954,52.520008,34.0]", "X=13.404954 Y=52.520008",
        "$GPGGA,123519,5231.2005,N,01324.2972,E,1,08,0.9,34.4,M,46.9,M,,*47", "52/1, 31/1, 1200288/100000",
        "name=Berlin; east=13.404954; north=52.520008", "52.520008_13.404954", "(52.520008)(13.404954)",
        "52,520008, 13,404954", "52.520008&#44; 13.404954", "geohash: u33dc0cpke", "33N 390298.55 5819737.12",
        "52.520008 and 13.404954", "52.520008 Nord 13.404954 Ost", "52:31:12.03 13:24:17.83", "52.5N 13.4E",
        "LINESTRING(13.4 52.5,13.5 52.6)", "52.520008,\u200b13.404954", '"52.520008","13.404954"', "loc=52.520008",
        "\u0665\u0662.\u0665\u0662\u0660\u0660\u0660\u0668, \u0661\u0663.\u0664\u0660\u0664\u0669\u0665\u0664",
        "2024-05-01,52.520008,13.404954,ok", r"52\u00b031\u2032", "52d31.2005m", "lati=52.520008", "E13.404954",
    ],
)  # fmt: skip
def test_positions_in_the_notations_of_programs_are_recognised(text):
    """With a height behind them, as map data, as a receiver's sentences, with other digits, signs and words between."""
    assert tells_a_place(text)


@pytest.mark.parametrize("text", ["35.0000 mm and 50.0000 mm", "1920.0000 x 1080.0000", "200.12345, 13.404954"])
def test_fine_numbers_of_other_things_are_no_position(text):
    """Lengths with their unit, and numbers that no degrees can have."""
    assert not tells_a_place(text)
