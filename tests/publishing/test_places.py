"""Texts that tell where, and texts that only look like it."""

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
    "12.30, 14.45", "12.50, 13.99 EUR", "10:30, 11:45", "A4 21.0 29.7", "Adobe Photoshop 25.0 (Windows)",
    "ISO 100, 1/250 s", "The GPS of my heart", "Latitude Festival", "long 3.5 m", "Lat. Canis lupus", "5, 7, 9",
    "0.5, 1.5, 2.5", "Breite: 30 cm", "Chapter 12.34", "R2-D2 + C3PO", "Opus 10.12, 10.13", "1.000, 2.000", "16:9",
    "#FF8800", "1920x1080", "10.000, 20.000 stops", "1 234 567", "Nr. 12 E 5", "N 5", "90° rotated",
    "Oil on canvas, 60.5 x 45.2 cm", "https://example.org/print?id=1234", "ff d8 ff", "RGB 0.5 0.5 0.5",
    "12.05, 13.06", "https://creativecommons.org/licenses/by/4.0/", "1.5, 2.25, 3.75", "Rob @ 12.30",
    "ISBN 978-3-16-148410-0", "+1-555-0100", "2024-05-01T10:20:30+02:00", "2024-05-01T10:20:30.123-05:00",
    "xmp.iid:52-13", "lon", "C++17", "E 45, S 20", "Sony A7 III + 35mm F1.8", "2.80 / 1.20", "AB+CD", "20230501+10",
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
    "Fr. 12.05., Sa. 13.05.", "#1234 / #5678", "+++ new +++", "5+3", "H2O+CO2", "C64+VIC20", "ABCD+EF", "FFXX+GH",
]  # fmt: skip


@pytest.mark.parametrize("text", TELLING)
def test_positions_are_recognised(text):
    """Coordinates in every usual notation, addresses of maps, and numbers beside the words for them."""
    assert tells_a_place(text)


@pytest.mark.parametrize("text", ["52.5200, 13.4050", "52°31' N", "geo:52.5,13.4", "+52.5200+013.4050/"])
def test_positions_inside_of_a_text_are_recognised(text):
    """Wherever in a caption they stand."""
    assert tells_a_place(f"Two cows on a meadow ({text})\nin spring.")


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
