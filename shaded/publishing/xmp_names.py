"""Which XMP properties are published.

Names are listed by namespace; they hold at every depth: for properties, for the fields of structures and for
qualifiers. What is not listed is left out: histories, identifiers, previews, settings of raw converters, numbers of
pixels, regions, whatever comes next. (XMP specification parts 1 and 2; IPTC Photo Metadata Standard 2023.1; PLUS 2.0.1;
CIPA DC-010; Creative Commons' ccREL; W3C's TDM Reservation Protocol.)
"""

from __future__ import annotations

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


def _clark(names: dict[str, str]) -> frozenset[str]:
    return frozenset(f"{{{space}}}{name}" for space, listed in names.items() for name in listed.split())


HARMLESS = _clark(_HARMLESS)
PLACES = _clark(_PLACES)
_GPS = f"{{{EXIF}}}GPS"
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


def shown_name(name: str) -> str:
    """``{namespace}name`` as people write it: ``dc:title``."""
    space, _, local = name.removeprefix("{").partition("}")
    prefix = next((prefix for prefix, known in PREFIXES.items() if known == space), "")
    return f"{prefix}:{local}" if prefix else local
