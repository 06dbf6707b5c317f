"""Which XMP properties are published.

Names are listed by namespace; they hold at every depth: for properties, for the fields of structures and for
qualifiers. What is not listed is left out: histories, identifiers, previews, settings of raw converters, numbers of
pixels, regions, whatever comes next. (XMP specification parts 1 and 2; IPTC Photo Metadata Standard 2023.1; PLUS 2.0.1;
CIPA DC-010; Creative Commons' ccREL; W3C's TDM Reservation Protocol.)
"""

from __future__ import annotations

from functools import lru_cache

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XML = "http://www.w3.org/XML/1998/namespace"
META = "adobe:ns:meta/"
DC = "http://purl.org/dc/elements/1.1/"
PLUS = "http://ns.useplus.org/ldf/xmp/1.0/"
TIFF = "http://ns.adobe.com/tiff/1.0/"
EXIF = "http://ns.adobe.com/exif/1.0/"
EXIF_EX = "http://cipa.jp/exif/1.0/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"
LIGHTROOM = "http://ns.adobe.com/lightroom/1.0/"
CC = "http://creativecommons.org/ns#"
_XMP = "http://ns.adobe.com/xap/1.0/"
_AUX = "http://ns.adobe.com/exif/1.0/aux/"
IPTC_CORE = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
_IPTC_EXT = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_TDM = "http://www.w3.org/ns/tdmrep/"
_TDM_HASH = "http://www.w3.org/ns/tdmrep#"
_MICROSOFT = "http://ns.microsoft.com/photo/1.0/"

#: The prefix that each namespace is written with.
PREFIXES = {
    "x": META, "rdf": RDF, "dc": DC, "plus": PLUS, "tiff": TIFF, "exif": EXIF, "exifEX": EXIF_EX,
    "photoshop": PHOTOSHOP, "xmpRights": RIGHTS, "lr": LIGHTROOM, "cc": CC, "xmp": _XMP, "aux": _AUX,
    "Iptc4xmpCore": IPTC_CORE, "Iptc4xmpExt": _IPTC_EXT, "tdm": _TDM, "tdmrep": _TDM_HASH,
    "MicrosoftPhoto": _MICROSOFT,
}  # fmt: skip

_HARMLESS = {
    DC: "contributor creator date description language publisher rights subject title type",
    _XMP: "CreateDate CreatorTool Label MetadataDate ModifyDate Rating",
    RIGHTS: "Certificate Marked Owner UsageTerms WebStatement",
    PHOTOSHOP: """AuthorsPosition CaptionWriter Category Credit DateCreated Headline Instructions Source
        SupplementalCategories TransmissionReference Urgency""",
    TIFF: "Artist Copyright DateTime ImageDescription Make Model ResolutionUnit Software XResolution YResolution",
    EXIF: """ApertureValue BrightnessValue ColorSpace Contrast CustomRendered DateTimeDigitized DateTimeOriginal
        DigitalZoomRatio ExifVersion ExposureBiasValue ExposureIndex ExposureMode ExposureProgram ExposureTime FNumber
        FileSource Fired Flash FlashEnergy FlashpixVersion FocalLength FocalLengthIn35mmFilm Function GainControl
        ISOSpeedRatings LightSource MaxApertureValue MeteringMode Mode RedEyeMode Return Saturation SceneCaptureType
        SceneType SensingMethod Sharpness ShutterSpeedValue SpectralSensitivity SubjectDistance SubjectDistanceRange
        UserComment WhiteBalance""",
    EXIF_EX: """CameraFirmware CompositeImage Gamma ISOSpeed ISOSpeedLatitudeyyy ISOSpeedLatitudezzz
        ImageEditingSoftware ImageEditor ImageTitle InteroperabilityIndex LensMake LensModel LensSpecification
        MetadataEditingSoftware OffsetTime OffsetTimeDigitized OffsetTimeOriginal PhotographicSensitivity Photographer
        RAWDevelopingSoftware RecommendedExposureIndex SensitivityType StandardOutputSensitivity SubSecTime
        SubSecTimeDigitized SubSecTimeOriginal""",
    _AUX: "ApproximateFocusDistance Firmware FlashCompensation Lens LensID LensInfo",
    IPTC_CORE: """AltTextAccessibility CiEmailWork CiTelWork CiUrlWork CreatorContactInfo ExtDescrAccessibility
        IntellectualGenre Scene SubjectCode""",
    _IPTC_EXT: """AOContentDescription AOContributionDescription AOCopyrightNotice AOCreator AOCurrentCopyrightOwnerName
        AOCurrentLicensorName AODateCreated AOPhysicalDescription AOSource AOStylePeriod AOTitle ArtworkOrObject
        Contributor CvTermId CvTermName DigitalSourceType Event EventName Genre Headline Identifier ModelAge Name
        Role""",
    PLUS: """CopyrightOwner CopyrightOwnerID CopyrightOwnerName CopyrightStatus CreditLineRequired DataMining
        ImageCreator ImageCreatorID ImageCreatorName ImageSupplier ImageSupplierID ImageSupplierName Licensor
        LicensorEmail LicensorID LicensorName LicensorNotes LicensorTelephone1 LicensorTelephone2 LicensorURL
        MediaConstraints MinorModelAgeDisclosure ModelReleaseStatus OtherConditions OtherConstraints
        OtherImageInfo OtherLicenseInfo OtherLicenseRequirements ProductOrServiceConstraints PropertyReleaseStatus
        RegionConstraints TermsAndConditionsText TermsAndConditionsURL Version""",
    CC: """attributionName attributionURL legalcode license morePermissions permits prohibits requires
        useGuidelines""",
    LIGHTROOM: "hierarchicalSubject weightedFlatSubject",
    _TDM: "policy reservation",
    _TDM_HASH: "policy reservation",
    _MICROSOFT: "Rating",
}

_PLACES = {
    DC: "coverage",
    PHOTOSHOP: "City Country State",
    IPTC_CORE: "CiAdrCity CiAdrCtry CiAdrExtadr CiAdrPcode CiAdrRegion CountryCode Location",
    _IPTC_EXT: """City CountryCode CountryName LocationCreated LocationId LocationName LocationShown ProvinceState
        Sublocation WorldRegion""",
    PLUS: """LicensorCity LicensorCountry LicensorExtendedAddress LicensorPostalCode LicensorRegion
        LicensorStreetAddress""",
}


#: Local names under which vocabularies that are not published name a maker or an owner, in small letters.
_NAMING = frozenset({
    "artist", "author", "authors", "byline", "cameraownername", "copyright", "copyrightnotice", "creator", "owner",
    "ownername", "photographer", "rights", "rightsholder",
})  # fmt: skip
#: Properties that are published and describe; a claim in them counts, another word does not.
_DESCRIBING = {
    DC: "description subject title",
    PHOTOSHOP: "Headline Instructions",
    TIFF: "ImageDescription",
    EXIF: "UserComment",
    EXIF_EX: "ImageTitle",
    IPTC_CORE: "AltTextAccessibility ExtDescrAccessibility",
    _IPTC_EXT: "AOContentDescription AOContributionDescription AOPhysicalDescription AOTitle Event EventName Headline",
    PLUS: """MediaConstraints OtherConditions OtherConstraints OtherImageInfo OtherLicenseInfo OtherLicenseRequirements
        ProductOrServiceConstraints RegionConstraints TermsAndConditionsText LicensorNotes""",
    CC: "useGuidelines",
    LIGHTROOM: "hierarchicalSubject weightedFlatSubject",
}
#: Of the namespaces on cameras and programs: who is named there all the same.
_PEOPLE = {
    TIFF: "Artist Copyright",
    EXIF_EX: "CameraOwnerName ImageEditor OwnerName Photographer",
    _AUX: "OwnerName",
}
_TECHNICAL_SPACES = (TIFF, EXIF, EXIF_EX, _AUX, _TDM, _TDM_HASH, _MICROSOFT)
#: Properties that name no maker and no owner, published or not.
_SILENT = {
    DC: "coverage date format identifier language type",
    _XMP: """BaseURL CreateDate CreatorTool Format Identifier Label MetadataDate ModifyDate Nickname PageInfo Rating
        RatingDate Thumbnails""",
    RIGHTS: "Marked",
    PHOTOSHOP: """AuthorsPosition Category ColorMode DateCreated DocumentAncestors EmbeddedXMPDigest History ICCProfile
        LegacyIPTCDigest SidecarForExtension SupplementalCategories TransmissionReference Urgency""",
    IPTC_CORE: "IntellectualGenre Scene SubjectCode",
    _IPTC_EXT: """AISystemUsed AISystemVersionUsed AddlModelInfo AODateCreated AOStylePeriod CvId CvTermId CvTermName
        CvTermRefinedAbout DigImageGUID DigitalSourceType DigitalSourcefileType Genre Identifier ImageRegion
        MaxAvailHeight MaxAvailWidth ModelAge OrganisationInImageCode OrganisationInImageName PersonInImage
        PersonInImageWDetails ProductInImage Role""",
    PLUS: """CopyrightStatus CreditLineRequired DataMining FileNameAsDelivered ImageDuplicationConstraints
        ImageFileConstraints ImageFileFormatAsDelivered ImageFileSizeAsDelivered ImageType MinorModelAgeDisclosure
        ModelReleaseStatus PropertyReleaseStatus Version""",
    CC: "legalcode license permits prohibits requires",
    LIGHTROOM: "privateRTKInfo",
    "http://ns.adobe.com/pdf/1.3/": "PDFVersion Producer Trapped",
    "http://www.digikam.org/ns/1.0/": "CaptionsDateTimeStamps ColorLabel ImageHistory ImageUniqueID PickLabel TagsList",
}
#: Vocabularies of programs and cameras on themselves, and on who is to be seen in the picture.
_SILENT_SPACES = (
    "http://ns.adobe.com/xap/1.0/mm/", "http://ns.adobe.com/xap/1.0/sType/", "http://ns.adobe.com/xap/1.0/g/",
    "http://ns.adobe.com/xap/1.0/t/pg/", "http://ns.adobe.com/camera-raw-", "http://ns.adobe.com/hdr-gain-map/",
    "http://ns.adobe.com/illustrator/", "http://ns.adobe.com/creatorAtom/",
    "http://ns.adobe.com/photoshop/1.0/camera-profile", "http://www.gimp.org/", "http://darktable.sf.net/",
    "http://ns.google.com/photos/", "http://ns.apple.com/", "http://ns.attribution.com/ads/", "http://www.dji.com/",
    "http://www.metadataworkinggroup.com/schemas/", "http://ns.microsoft.com/photo/1.2/", "http://ns.xiaomi.com/",
    "http://ns.leiainc.com/", "http://ns.fastpictureviewer.com/", "http://ns.camerabits.com/photomechanic/",
)  # fmt: skip
#: Not published, and known to describe alone.
_ONLY_DESCRIBING = frozenset({f"{{{PHOTOSHOP}}}TextLayers"})


def _clark(names: dict[str, str]) -> frozenset[str]:
    return frozenset(f"{{{space}}}{name}" for space, listed in names.items() for name in listed.split())


HARMLESS = _clark(_HARMLESS)
PLACES = _clark(_PLACES)
_GPS = f"{{{EXIF}}}GPS"
_DESCRIPTIONS, _NAMED, _NAMELESS = _clark(_DESCRIBING), _clark(_PEOPLE), _clark(_SILENT)
#: The parts of RDF that hold values together.
STRUCTURE = frozenset(f"{{{RDF}}}{name}" for name in ("Alt", "Bag", "Description", "Seq", "li", "value"))


def is_place(name: str) -> bool:
    """Whether a property, ``{namespace}name``, tells where: a position, or the name of a place."""
    return name in PLACES or name.startswith(_GPS)


def is_known(name: str) -> bool:
    """Whether a property, ``{namespace}name``, may be published, a place among them where the settings keep it."""
    return name in HARMLESS or is_place(name)


def names_somebody(name: str) -> bool:
    """Whether a property, ``{namespace}name``, names a maker or an owner, in whatever vocabulary."""
    return name.rpartition("}")[2].casefold() in _NAMING


@lru_cache(maxsize=4096)
def is_silent(name: str) -> bool:
    """Whether a property, ``{namespace}name``, is known to name no maker and no owner, whatever it says."""
    if name in _NAMELESS or is_place(name):
        return True
    space = name[1:].partition("}")[0]
    technical = space in _TECHNICAL_SPACES and name not in _NAMED and not describes(name)
    return technical or space.startswith(_SILENT_SPACES)


def describes(name: str) -> bool:
    """Whether a property, ``{namespace}name``, describes the picture, and names somebody by a claim alone."""
    return name in _DESCRIPTIONS


def only_describes(name: str) -> bool:
    """Whether a property that is not published is known to hold descriptions."""
    return name in _ONLY_DESCRIBING


def shown_name(name: str) -> str:
    """``{namespace}name`` as people write it: ``dc:title``."""
    space, _, local = name.removeprefix("{").partition("}")
    prefix = next((prefix for prefix, known in PREFIXES.items() if known == space), "")
    return f"{prefix}:{local}" if prefix else local
