"""Which EXIF and TIFF tags are published, and what each must look like to be.

A tag that is not listed here is left out: maker notes, previews, serial numbers, the camera's owner, identifiers,
file names, private tags, whatever comes next. A listed tag of another shape (a text where a number belongs) as well.
(CIPA DC-008-2023, "Exif 3.0", 4.6; TIFF revision 6.0; GeoTIFF 1.1; Microsoft's XP tags.)
"""

from __future__ import annotations

IMAGE_DESCRIPTION, ARTIST, COPYRIGHT = 270, 315, 33432
ORIENTATION, RESOLUTION = 274, (282, 283, 296)
XP_TITLE, XP_COMMENT, XP_AUTHOR, XP_KEYWORDS = 40091, 40092, 40093, 40094
XP_SUBJECT, IMAGE_EDITOR = 40095, 42040
#: Whom the camera belongs to; never published.
CAMERA_OWNER = 42032
USER_COMMENT = 37510
IMAGE_TITLE, PHOTOGRAPHER = 42038, 42039
PIXEL_WIDTH, PIXEL_HEIGHT = 40962, 40963
EXIF_POINTER, GPS_POINTER, INTEROPERABILITY_POINTER = 34665, 34853, 40965
PIXEL_SCALE, TIE_POINTS, TRANSFORMATION = 33550, 33922, 34264

#: Texts, of both the main and the photo directory.
TEXTS = frozenset({
    IMAGE_DESCRIPTION, ARTIST, COPYRIGHT, USER_COMMENT,
    271, 272,  # Make, Model
    305, 306,  # Software, DateTime
    36867, 36868, 36880, 36881, 36882, 37520, 37521, 37522,  # the times, their offsets and fractions
    42035, 42036,  # LensMake, LensModel
    IMAGE_TITLE, PHOTOGRAPHER, IMAGE_EDITOR, 42041, 42042, 42043, 42044,  # EXIF 3.0: title, people, programs
})  # fmt: skip

#: Windows' texts: title, comment, author, keywords, subject; UTF-16, little-endian, as bytes.
WIDE_TEXTS = frozenset({XP_TITLE, XP_COMMENT, XP_AUTHOR, XP_KEYWORDS, XP_SUBJECT})

#: Whole numbers, one of each; ISO speeds up to three.
INTEGERS = frozenset({
    RESOLUTION[2], 18246, 18249,  # ResolutionUnit, Rating, RatingPercent
    34850, 34855, 34864, 34865, 34866, 34867, 34868, 34869,  # ExposureProgram, sensitivity
    37383, 37384, 37385,  # MeteringMode, LightSource, Flash
    PIXEL_WIDTH, PIXEL_HEIGHT, 40961, 41495,  # size, ColorSpace, SensingMethod
    41985, 41986, 41987, 41989, 41990, 41991, 41992, 41993, 41994, 41996,  # how the scene was taken
    42080,  # CompositeImage
})  # fmt: skip

#: Fractions, one of each; LensSpecification has four.
FRACTIONS = frozenset({
    *RESOLUTION[:2], 33434, 33437,  # ExposureTime, FNumber
    37377, 37378, 37379, 37380, 37381, 37382, 37386,  # APEX values, SubjectDistance, FocalLength
    41483, 41493, 41988, 42034, 42240,  # FlashEnergy, ExposureIndex, DigitalZoomRatio, LensSpecification, Gamma
})  # fmt: skip
#: How many values a tag may have, where it is not one.
COUNTS = {34855: 3, 42034: 4, 37396: 4, 41492: 2}

#: Four bytes or fewer: ExifVersion, FlashpixVersion, FileSource, SceneType.
CODES = frozenset({36864, 40960, 41728, 41729})

#: Pixels of the camera's picture, which are true for as long as the picture has its size: FocalPlaneXResolution,
#: FocalPlaneYResolution, FocalPlaneResolutionUnit, SubjectArea, SubjectLocation.
OF_FULL_SIZE = frozenset({41486, 41487, 41488, 37396, 41492})

GDAL_METADATA = 42112
#: GeoTIFF's and GDAL's, in the main directory of any block.
GEOTIFF = frozenset({PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, 34735, 34736, 34737, GDAL_METADATA})
#: The directory of the place, from GPSVersionID to GPSHPositioningError.
GPS = frozenset(range(32))

#: Tags that name no maker and no owner, whatever they hold: the layout of the file, colour, programs, times, the camera
#: and its notes, previews, and Photoshop's layers.
SILENT = frozenset({
    *range(254, 267), 271, 272, *range(273, 285), *range(288, 294), 296, 297, 301, 305, 306, 316, *range(317, 328),
    *range(330, 333), 334, *range(336, 342), 342, 343, *range(344, 348), *range(512, 522), *range(529, 533), 559,
    769, 770, 771, 4096, 4097, 4098, *range(20481, 20626), 33421, 33422, 34675, *range(34735, 34738), 36867, 36868,
    36880, 36881, 36882, 37121, 37122, 37390, 37391, 37392, 37398, 37399, 37500, 37520, 37521, 37522, 37679, 37724,
    40964, 41484, 41485, 41730, 41995, 42016, 42033, 42035, 42036, 42037, 42041, 42042, 42043, 42044, 42081, 42082,
    42113, 50341, *range(50706, 50709), *range(50710, 50830), *range(50879, 50936), *range(50937, 50942),
    *range(50944, 50982), 59932, 59933, EXIF_POINTER, GPS_POINTER, INTEROPERABILITY_POINTER,
})  # fmt: skip
#: Blocks of other kinds in a directory: XMP, IPTC, Photoshop. A TIFF's own are read like those of other containers.
BLOCKS = frozenset({700, 33723, 34377})
#: Content credentials.
CREDENTIALS = 52545

#: Of the interoperability directory: index and version; the rest is about another file.
INTEROPERABILITY_TEXT, INTEROPERABILITY_VERSION = 1, 2

NAMES = {
    IMAGE_DESCRIPTION: "ImageDescription", 271: "Make", 272: "Model", 305: "Software", 306: "DateTime",
    ARTIST: "Artist", COPYRIGHT: "Copyright", USER_COMMENT: "UserComment", CAMERA_OWNER: "CameraOwnerName",
    269: "DocumentName", 700: "XMP", 33723: "IPTC", 34377: "Photoshop", 36867: "DateTimeOriginal",
    36868: "DateTimeDigitized", 42035: "LensMake", 42036: "LensModel", IMAGE_TITLE: "ImageTitle",
    PHOTOGRAPHER: "Photographer", 42040: "ImageEditor", 42041: "CameraFirmware", 42042: "RAWDevelopingSoftware",
    42043: "ImageEditingSoftware", 42044: "MetadataEditingSoftware", XP_TITLE: "XPTitle", XP_COMMENT: "XPComment",
    XP_AUTHOR: "XPAuthor", XP_KEYWORDS: "XPKeywords", 40095: "XPSubject",
}  # fmt: skip


def name_of(tag: int) -> str:
    """A tag's name for a message; its number where it has none here."""
    return NAMES.get(tag, str(tag))
